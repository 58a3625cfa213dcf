// SPDX-License-Identifier: Apache-2.0
//
// What lib/netdev makes of the flow rules that the ioctl tells of.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/ethtool.h>

#include "lib/netdev/rules.h"

namespace zcrx::netdev {
namespace {

ethtool_rxnfc Tcp4(uint16_t local_port) {
  ethtool_rxnfc reply = {};
  reply.fs.flow_type = TCP_V4_FLOW;
  reply.fs.location = 7;
  reply.fs.ring_cookie = 2;
  reply.fs.h_u.tcp_ip4_spec.pdst = htons(local_port);
  reply.fs.m_u.tcp_ip4_spec.pdst = 0xffff;
  return reply;
}

TEST(ParseRule, OfALocalPort) {
  const Rule rule = ParseRule(Tcp4(5001));
  EXPECT_EQ(rule.id, 7u);
  EXPECT_EQ(rule.tcp, IpFamily::kIpv4);
  EXPECT_EQ(rule.local_port, 5001);
  EXPECT_EQ(rule.remote_port, 0);
  EXPECT_EQ(rule.local_address, "");
  EXPECT_EQ(rule.remote_address, "");
  EXPECT_FALSE(rule.narrower);
  EXPECT_EQ(rule.rx_queue, 2u);
  EXPECT_EQ(rule.rss_context, std::nullopt);
}

TEST(ParseRule, OfAConnection) {
  ethtool_rxnfc reply = Tcp4(5001);
  ethtool_tcpip4_spec& match = reply.fs.h_u.tcp_ip4_spec;
  ethtool_tcpip4_spec& mask = reply.fs.m_u.tcp_ip4_spec;
  match.psrc = htons(40000);
  mask.psrc = 0xffff;
  match.ip4dst = inet_addr("10.0.0.1");
  mask.ip4dst = 0xffffffff;
  match.ip4src = inet_addr("10.1.0.0");
  mask.ip4src = inet_addr("255.255.128.0");
  const Rule rule = ParseRule(reply);
  EXPECT_EQ(rule.local_port, 5001);
  EXPECT_EQ(rule.remote_port, 40000);
  EXPECT_EQ(rule.local_address, "10.0.0.1");
  EXPECT_EQ(rule.remote_address, "10.1.0.0/17");
  EXPECT_TRUE(rule.narrower);
}

TEST(ParseRule, OfIpv6) {
  ethtool_rxnfc reply = {};
  reply.fs.flow_type = TCP_V6_FLOW;
  inet_pton(AF_INET6, "2001:db8::", reply.fs.h_u.tcp_ip6_spec.ip6dst);
  inet_pton(AF_INET6, "ffff:ffff::", reply.fs.m_u.tcp_ip6_spec.ip6dst);
  inet_pton(AF_INET6, "2001:db8::1", reply.fs.h_u.tcp_ip6_spec.ip6src);
  inet_pton(AF_INET6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", reply.fs.m_u.tcp_ip6_spec.ip6src);
  const Rule rule = ParseRule(reply);
  EXPECT_EQ(rule.tcp, IpFamily::kIpv6);
  EXPECT_EQ(rule.local_port, 0);
  EXPECT_EQ(rule.local_address, "2001:db8::/32");
  EXPECT_EQ(rule.remote_address, "2001:db8::1");
  EXPECT_TRUE(rule.narrower);
}

TEST(ParseRule, MasksWithHolesAreNotTold) {
  ethtool_rxnfc reply = Tcp4(5001);
  reply.fs.m_u.tcp_ip4_spec.pdst = htons(0xff00);
  reply.fs.h_u.tcp_ip4_spec.ip4dst = inet_addr("10.0.0.1");
  reply.fs.m_u.tcp_ip4_spec.ip4dst = inet_addr("255.0.0.255");
  const Rule rule = ParseRule(reply);
  EXPECT_EQ(rule.local_port, 0);
  EXPECT_EQ(rule.local_address, "");
  EXPECT_TRUE(rule.narrower);
}

TEST(ParseRule, MatchesBeyondTheAddressesMakeItNarrower) {
  ethtool_rxnfc reply = Tcp4(5001);
  reply.fs.m_u.tcp_ip4_spec.tos = 0xff;
  EXPECT_TRUE(ParseRule(reply).narrower);
  reply = Tcp4(5001);
  reply.fs.m_ext.vlan_tci = 0xffff;
  EXPECT_FALSE(ParseRule(reply).narrower);  // these fields count only if the type says so
  reply.fs.flow_type |= FLOW_EXT;
  EXPECT_TRUE(ParseRule(reply).narrower);
}

TEST(ParseRule, Targets) {
  ethtool_rxnfc reply = Tcp4(5001);
  reply.fs.flow_type |= FLOW_RSS;
  reply.rss_context = 3;
  EXPECT_EQ(ParseRule(reply).rss_context, 3u);
  EXPECT_EQ(ParseRule(reply).rx_queue, 2u);
  for (const uint64_t elsewhere : {static_cast<uint64_t>(RX_CLS_FLOW_DISC),
                                   static_cast<uint64_t>(RX_CLS_FLOW_WAKE), uint64_t{1} << 32}) {
    reply = Tcp4(5001);
    reply.fs.ring_cookie = elsewhere;
    EXPECT_EQ(ParseRule(reply).rx_queue, std::nullopt);
  }
}

TEST(ParseRule, OtherProtocols) {
  ethtool_rxnfc reply = Tcp4(5001);
  reply.fs.flow_type = UDP_V4_FLOW;
  EXPECT_EQ(ParseRule(reply).tcp, std::nullopt);
  EXPECT_EQ(ParseRule(reply).rx_queue, 2u);
}

}  // namespace
}  // namespace zcrx::netdev
