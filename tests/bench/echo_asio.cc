// SPDX-License-Identifier: Apache-2.0
//
// Echoes by Asio, with its coroutines.
#include <array>
#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <cstddef>
#include <utility>

#include "tests/bench/echo_server.h"

namespace {

using asio::ip::tcp;

asio::awaitable<void> Echo(tcp::socket peer) {
  std::array<char, zcrx::bench::kReadBytes> data;
  asio::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  while (true) {
    const size_t bytes = co_await peer.async_read_some(asio::buffer(data), token);
    if (error) co_return;
    co_await asio::async_write(peer, asio::buffer(data.data(), bytes), token);
    if (error) co_return;
  }
}

asio::awaitable<void> Accept(asio::io_context& io, tcp::acceptor acceptor) {
  while (true) {
    tcp::socket peer = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(io, Echo(std::move(peer)), asio::detached);
  }
}

}  // namespace

// To end by an exception is fine for it. NOLINTNEXTLINE(bugprone-exception-escape)
int main() {
  asio::io_context io(1);  // one thread: no locks
  asio::co_spawn(io, Accept(io, tcp::acceptor(io, tcp::v4(), zcrx::bench::Listen())), asio::detached);
  io.run();
  return 0;
}
