// SPDX-License-Identifier: Apache-2.0
//
// Echoes by libuv. What the socket takes at once is sent out of the one buffer that
// all reads share; the rest is copied and queued.
#include <uv.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "tests/bench/echo_server.h"

namespace {

using zcrx::bench::CheckCall;

std::array<char, zcrx::bench::kReadBytes> g_data;

struct Write {
  uv_write_t request;
  std::vector<char> bytes;
};

template <typename Handle>
uv_handle_t* AsHandle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

void Close(uv_stream_t* peer) {
  if (uv_is_closing(AsHandle(peer)) != 0) return;
  uv_close(AsHandle(peer), [](uv_handle_t* handle) { delete reinterpret_cast<uv_tcp_t*>(handle); });
}

void OnWritten(uv_write_t* request, int status) {
  if (status != 0) Close(request->handle);
  delete static_cast<Write*>(request->data);
}

void OnRead(uv_stream_t* peer, ssize_t count, const uv_buf_t*) {
  if (count < 0) return Close(peer);
  uv_buf_t data = uv_buf_init(g_data.data(), static_cast<unsigned>(count));
  const int sent = std::max(uv_try_write(peer, &data, 1), 0);  // negative: others wait in the queue
  if (sent == count) return;
  auto* write = new Write{{}, {g_data.data() + sent, g_data.data() + count}};
  write->request.data = write;
  uv_buf_t rest = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  CheckCall(uv_write(&write->request, peer, &rest, 1, OnWritten) == 0, "uv_write");
}

void OnConnection(uv_stream_t* listener, int status) {
  CheckCall(status == 0, "uv_listen");
  auto* peer = new uv_tcp_t;
  CheckCall(uv_tcp_init(listener->loop, peer) == 0, "uv_tcp_init");
  auto* stream = reinterpret_cast<uv_stream_t*>(peer);
  CheckCall(uv_accept(listener, stream) == 0, "uv_accept");
  const auto allocate = [](uv_handle_t*, size_t, uv_buf_t* buffer) {
    *buffer = uv_buf_init(g_data.data(), g_data.size());
  };
  CheckCall(uv_read_start(stream, allocate, OnRead) == 0, "uv_read_start");
}

}  // namespace

int main() {
  uv_tcp_t listener;
  CheckCall(uv_tcp_init(uv_default_loop(), &listener) == 0, "uv_tcp_init");
  CheckCall(uv_tcp_open(&listener, zcrx::bench::Listen()) == 0, "uv_tcp_open");
  CheckCall(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, OnConnection) == 0, "uv_listen");
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
