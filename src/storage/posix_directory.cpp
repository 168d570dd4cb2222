#include "storage/posix_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "storage/posix_file.hpp"

namespace kuilt::storage {
namespace {

constexpr std::string_view first_line = "kuilt data directory, format ";
constexpr unsigned directory_format = 1;
constexpr std::size_t small_file_bytes_max = 4096;
constexpr std::size_t joined_bytes_max = std::size_t{4} << 20;  // More than any log entry holds.

Result<std::string> read_small(const std::string& path, const File& file,
                               std::size_t bytes_max = small_file_bytes_max) {
  std::string out(bytes_max, '\0');
  const ssize_t count = ::pread(file.get(), out.data(), out.size(), 0);
  if (count < 0) return system_error("read " + path);
  out.resize(static_cast<std::size_t>(count));
  return out;
}

// Names and values are readable, so that an operator sees whose directory it is.
std::string text_of(const Identity& identity) {
  return std::string(first_line) + std::to_string(directory_format) + "\nnode " +
         identity.node.text() + "\ncluster " + identity.cluster.text() + "\nhistory " +
         identity.history.text() + "\n";
}

Result<Identity> parse_identity(const std::string& path, std::string_view text) {
  const Error corrupt(ErrorCode::corrupt, path + " is not what a server wrote");
  if (!text.starts_with(first_line)) return corrupt;
  const auto version = text.substr(first_line.size(), text.find('\n') - first_line.size());
  if (version != std::to_string(directory_format)) {
    return Error(ErrorCode::unsupported_format, path + ": format " + std::string(version) +
                                                    ", and this program reads " +
                                                    std::to_string(directory_format));
  }
  const auto field = [&](std::string_view name) {
    const std::size_t at = text.find("\n" + std::string(name) + " ");
    return at == std::string_view::npos ? std::string_view()
                                        : text.substr(at + name.size() + 2, 32);
  };
  const auto node = NodeId::parse(field("node"));
  const auto cluster = ClusterId::parse(field("cluster"));
  const auto history = HistoryId::parse(field("history"));
  if (!node || !cluster || !history) return corrupt;
  const Identity identity{*cluster, *history, *node};
  // Whole or not at all: a cut or longer text has been meddled with.
  if (text != text_of(identity)) return corrupt;
  return identity;
}

Result<File> lock(const std::string& path) {
  File file = open_file(path, O_RDWR | O_CREAT, 0600);
  if (!file.is_open()) return directory_error("open " + path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock " + path);
    const auto holder = read_small(path, file);
    return Error(ErrorCode::directory_locked,
                 path + " is held by process " + (holder && !holder->empty() ? *holder : "?"));
  }
  if (::ftruncate(file.get(), 0) != 0) return system_error("write " + path);
  auto status = write_at(file, path, std::to_string(::getpid()), 0);
  if (!status) return std::move(status).error();
  return file;
}

}  // namespace

struct DataDirectory::Impl {
  std::string path;
  File lock;
  Identity identity;  ///< What is not known yet is none.

  [[nodiscard]] std::string identity_path() const { return path + "/identity"; }
  [[nodiscard]] std::string joined_path() const { return path + "/joined"; }
  Status load();
  Status store(const Identity& next);
  [[nodiscard]] Status replace(const std::string& file, BytesView text) const;
};

Status DataDirectory::Impl::load() {
  const File file = open_file(identity_path(), O_RDONLY);
  if (!file.is_open() && errno == ENOENT) return Done{};
  if (!file.is_open()) return system_error("open " + identity_path());
  const auto text = read_small(identity_path(), file);
  if (!text) return Error(text.error());
  const auto parsed = parse_identity(identity_path(), *text);
  if (!parsed) return Error(parsed.error());
  identity = *parsed;
  return Done{};
}

// A crash leaves the old file or the new one, whole.
Status DataDirectory::Impl::replace(const std::string& file, BytesView text) const {
  const std::string unfinished = file + ".new";
  {
    const File opened = open_file(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!opened.is_open()) return directory_error("create " + unfinished);
    if (auto status = write_at(opened, unfinished, text, 0); !status) return status;
    if (::fsync(opened.get()) != 0) return system_error("sync " + unfinished);
  }
  if (::rename(unfinished.c_str(), file.c_str()) != 0) {
    return system_error("rename " + unfinished);
  }
  return sync_directory(path);
}

Status DataDirectory::Impl::store(const Identity& next) {
  if (auto status = replace(identity_path(), text_of(next)); !status) return status;
  identity = next;
  return Done{};
}

DataDirectory::DataDirectory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DataDirectory::~DataDirectory() = default;

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(const std::string& path) {
  if (auto status = make_directory(path); !status) return std::move(status).error();
  auto locked = lock(path + "/lock");
  if (!locked) return std::move(locked).error();
  auto impl = std::make_unique<Impl>(Impl{path, std::move(*locked), {}});
  if (auto status = impl->load(); !status) return std::move(status).error();
  // The identity that is found may have been renamed by a start that was killed before this sync.
  if (auto status = sync_directory(path); !status) return std::move(status).error();
  return std::unique_ptr<DataDirectory>(new DataDirectory(std::move(impl)));
}

std::optional<NodeId> DataDirectory::node() const {
  if (impl_->identity.node.is_none()) return std::nullopt;
  return impl_->identity.node;
}

std::optional<Identity> DataDirectory::identity() const {
  if (impl_->identity.cluster.is_none()) return std::nullopt;
  return impl_->identity;
}

std::string DataDirectory::log_path() const { return impl_->path + "/log"; }

std::string DataDirectory::snapshots_path() const { return impl_->path + "/snapshots"; }

Result<std::optional<Bytes>> DataDirectory::joined() const {
  const std::string path = impl_->joined_path();
  const File file = open_file(path, O_RDONLY);
  if (!file.is_open() && errno == ENOENT) return std::optional<Bytes>();
  if (!file.is_open()) return system_error("open " + path);
  auto record = read_small(path, file, joined_bytes_max);
  if (!record) return std::move(record).error();
  return std::optional(Bytes(*std::move(record)));
}

Status DataDirectory::keep_joined(BytesView record) {
  return impl_->replace(impl_->joined_path(), record);
}

Status DataDirectory::mint(NodeId node) {
  KUILT_CHECK(impl_->identity.node.is_none() && !node.is_none());
  return impl_->store({ClusterId(), HistoryId(), node});
}

Status DataDirectory::bind(ClusterId cluster, HistoryId history) {
  KUILT_CHECK(node() && !cluster.is_none() && !history.is_none());
  const Identity wanted{cluster, history, impl_->identity.node};
  if (identity()) return check(wanted);
  return impl_->store(wanted);
}

Status DataDirectory::check(const Identity& expected) const {
  const Identity& own = impl_->identity;
  const auto differs = [&](const std::string& what, const std::string& is,
                           const std::string& wanted) {
    return Error(ErrorCode::directory_of_another,
                 impl_->path + " belongs to " + what + " " + is + ", not " + wanted);
  };
  if (own.node != expected.node) return differs("node", own.node.text(), expected.node.text());
  if (!identity()) return Done{};
  if (own.cluster != expected.cluster) {
    return differs("cluster", own.cluster.text(), expected.cluster.text());
  }
  if (own.history != expected.history) {
    return differs("history", own.history.text(), expected.history.text());
  }
  return Done{};
}

}  // namespace kuilt::storage
