// frame.hpp: what stands around the statements that documents show. Each block is a function of its
// own after this; nothing of it is ever run.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdio>
#include <exception>
#include <string>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"

using namespace std::chrono_literals;

/// For blocks with a `co_await`.
struct Coroutine {
  struct promise_type {
    Coroutine get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

extern kuilt::ClusterClient& client;
extern kuilt::ServerCluster& cluster;
/// Writes an outcome down, as the application does.
void settle(kuilt::RequestId id, const kuilt::Result<kuilt::Receipt>& outcome);
