// SPDX-License-Identifier: Apache-2.0
//
// A file of its own, built without tail calls: they would end each of these before
// it has begun.
#include "tests/bench/counted.h"

#include "tests/bench/receiver.h"
#include "tests/bench/synthetic_kernel.h"
#include "tests/bench/worker.h"

void BenchCountedRun(zcrx::bench::Receiver& receiver, uint64_t turns) { receiver.Run(turns); }
void BenchCountedDrop(zcrx::bench::Worker& worker) { worker.Drop(); }
void BenchAsideKernel(zcrx::bench::SyntheticKernel& kernel) { kernel.Turn(); }
void BenchAsideHandOver(zcrx::bench::Worker& worker) { worker.HandOver(); }
void BenchCompletions(zcrx::bench::Receiver& receiver) { receiver.TakeCompletions(); }
