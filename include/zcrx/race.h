// SPDX-License-Identifier: Apache-2.0
//
// Race() awaits several operations side by side until the first is over, and
// cancels the others.
//
//   auto first = co_await zcrx::Race(peer.Receive(), zcrx::Sleep(std::chrono::seconds(1)));
//   if (first.index() == 1) co_return;            // a second of silence
//   absl::StatusOr<zcrx::Buffer>& data = std::get<0>(first);
#ifndef ZCRX_RACE_H_
#define ZCRX_RACE_H_

#include <cstddef>
#include <optional>
#include <utility>
#include <variant>

#include "zcrx/internal/context.h"
#include "zcrx/task.h"
#include "zcrx/task_group.h"
#include "zcrx/timer.h"

namespace zcrx::inline v0 {

namespace internal {

template <size_t Index, typename Result, typename Operation>
Task<void> RunContender(Operation operation, std::optional<Result>& first, TaskGroup& group) {
  AwaitResult<Operation> result = co_await std::move(operation);
  if (first.has_value()) co_return;
  first.emplace(std::in_place_index<Index>, std::move(result));
  group.Cancel();
}

}  // namespace internal

// `co_await` gives a std::variant: its index says which operation was over first,
// with an error or without, its value is the result of that one. The others have
// been cancelled and are over too; what they gave is dropped. A Receive() or
// Accept() among the losers has taken nothing: a Task that goes on after its
// Receive() may have. At least two operations, whose results are not void. In a
// zcrx::Task that a runtime runs: elsewhere the program ends (std::terminate).
template <typename... Operations>
  requires(sizeof...(Operations) >= 2)
Task<std::variant<internal::AwaitResult<Operations>...>> Race(Operations... operations) {
  using Result = std::variant<internal::AwaitResult<Operations>...>;
  internal::Context* outer = co_await internal::CurrentContext();
  if (outer == nullptr) std::terminate();
  std::optional<Result> first;
  TaskGroup group(*outer, TaskGroup::OnError::kGoOn);
  [&]<size_t... Indices>(std::index_sequence<Indices...>) {
    (group.Spawn(internal::RunContender<Indices, Result>(std::move(operations), first, group)), ...);
  }(std::index_sequence_for<Operations...>());
  const absl::Status waited = co_await group.Wait();
  co_return *std::move(first);
}

}  // namespace zcrx::inline v0

#endif  // ZCRX_RACE_H_
