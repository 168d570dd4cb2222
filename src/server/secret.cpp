#include "server/secret.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kuilt/detail/check.hpp"

namespace kuilt::server {

namespace {

constexpr std::size_t digits = 2 * Secret::size;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }

 private:
  int number_;
};

std::string system_text() { return std::strerror(errno); }

Error refused(const std::string& path, const std::string& why) {
  return Error(ErrorCode::invalid_argument, "secret file " + path + ": " + why);
}

std::string hex_of(const Secret& secret) {
  std::string out;
  for (const std::byte byte : secret.bytes()) {
    out += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4U];
    out += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15U];
  }
  return out;
}

std::optional<unsigned> digit_of(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

std::optional<Secret> parse_hex(std::string_view text) {
  if (text.size() != digits) return std::nullopt;
  std::array<std::byte, Secret::size> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto high = digit_of(text[2 * i]);
    const auto low = digit_of(text[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    bytes[i] = static_cast<std::byte>(*high * 16 + *low);
  }
  return Secret(bytes);
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// Reads a little more than a secret needs, so that a longer file is seen to be one.
std::optional<std::string> read_start(int file) {
  std::string out;
  std::array<char, 2 * digits> chunk{};
  while (out.size() < chunk.size()) {
    const ssize_t got = ::read(file, chunk.data(), chunk.size() - out.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    out.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return out;
}

}  // namespace

Secret::~Secret() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

void draw_random(std::byte* bytes, std::size_t count) {
  KUILT_CHECK(count <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  const int drawn = RAND_bytes(reinterpret_cast<unsigned char*>(bytes), static_cast<int>(count));
  KUILT_CHECK(drawn == 1);
}

Status create_secret(const std::string& path) {
  std::array<std::byte, Secret::size> bytes{};
  draw_random(bytes.data(), bytes.size());
  const Secret secret(bytes);

  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open() && errno == EEXIST) {
    return refused(path,
                   "exists already, and is never overwritten: use it, or choose another name");
  }
  if (!file.is_open()) return refused(path, "cannot be made: " + system_text());
  if (write_all(file.get(), hex_of(secret) + "\n") && ::fsync(file.get()) == 0) return Done{};
  const Error error(ErrorCode::io, Effect::none,
                    "secret file " + path + ": cannot be written: " + system_text());
  ::unlink(path.c_str());
  return error;
}

Result<Secret> load_secret(const std::string& path) {
  if (path.empty()) {
    return Error(ErrorCode::invalid_argument,
                 "no secret file: make one with `kuilt secret new FILE`, copy it to all servers, "
                 "and give --secret-file FILE");
  }
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open() && errno == ENOENT) {
    return refused(path,
                   "does not exist: copy it from another server of the cluster, or make the "
                   "first one with `kuilt secret new " +
                       path + "`");
  }
  if (!file.is_open()) return refused(path, "cannot be opened: " + system_text());
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0) return refused(path, system_text());
  if (!S_ISREG(facts.st_mode)) return refused(path, "is not a file");
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return refused(path, "others may read or write it: run `chmod 600 " + path + "`");
  }

  auto text = read_start(file.get());
  if (!text) return refused(path, "cannot be read: " + system_text());
  while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
  if (text->empty()) {
    return refused(path, "is empty: remove it and run `kuilt secret new " + path + "`");
  }
  const auto secret = parse_hex(*text);
  OPENSSL_cleanse(text->data(), text->size());
  if (!secret || secret->is_none()) {
    return refused(path, "is not a secret: expected " + std::to_string(digits) +
                             " hexadecimal digits, as `kuilt secret new` writes them");
  }
  return *secret;
}

}  // namespace kuilt::server
