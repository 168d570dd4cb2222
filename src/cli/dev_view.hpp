// dev_view.hpp: what `kuilt dev` shows of its servers while they run.
#pragma once

#include "cli/local_cluster.hpp"

namespace kuilt::cli {

/// A table that lives, and keys that kill and restart. Pre: standard input and output are a
/// terminal. Returns the exit status once people quit.
int run_dev_table(LocalCluster& cluster);

/// A line for each change, until SIGINT, SIGTERM, or nobody reads any more.
int run_dev_lines(LocalCluster& cluster);

}  // namespace kuilt::cli
