// SPDX-License-Identifier: Apache-2.0
#include "zcrx/address.h"

#include <gtest/gtest.h>

namespace zcrx {
namespace {

TEST(SocketAddressTest, ReadsWhatItWrites) {
  for (const char* text : {"10.0.0.1:7000", "[fd00::1]:80", "0.0.0.0:0", "[::]:65535", "[fe80::1%lo]:5"}) {
    const auto address = SocketAddress::Parse(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
    const auto same = SocketAddress::FromSockaddr(address->get(), address->length());
    ASSERT_TRUE(same.ok());
    EXPECT_EQ(same->ToString(), text);
  }
}

TEST(SocketAddressTest, NoHostMeansAnyOfBothFamilies) {
  EXPECT_EQ(SocketAddress::Parse(":7000")->ToString(), "[::]:7000");
  EXPECT_EQ(SocketAddress::Parse("*:7000")->ToString(), "[::]:7000");
  EXPECT_EQ(SocketAddress::Parse(":7000")->port(), 7000);
}

TEST(SocketAddressTest, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no port"},
      {"10.0.0.1", "no port"},
      {"10.0.0.1:", "not a number"},
      {"10.0.0.1:65536", "65535"},
      {"10.0.0.1:-1", "not a number"},
      {"fd00::1:80", "brackets"},
      {"host:80", "not a numeric"},
      {"[10.0.0.1]:80", "not a numeric"},
      {"[fe80::1%nosuchif]:1", "no interface"},
      {"[fd00::zz]:1", "not a numeric"},
  };
  for (const auto& [text, words] : cases) {
    const auto address = SocketAddress::Parse(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_NE(address.status().message().find(words), std::string::npos) << address.status();
  }
}

TEST(SocketAddressTest, RefusesOtherFamilies) {
  sockaddr unix_address = {};
  unix_address.sa_family = AF_UNIX;
  EXPECT_FALSE(SocketAddress::FromSockaddr(&unix_address, sizeof(unix_address)).ok());
}

}  // namespace
}  // namespace zcrx
