#include "server/service_manager.hpp"

#include <stdlib.h>

#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "tests/server/notify_socket.hpp"

namespace kuilt::server {
namespace {

using testing::HasSubstr;

class ServiceManagerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "kuilt-notify-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  void TearDown() override {
    ::unsetenv("NOTIFY_SOCKET");
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] std::string path() const { return folder_ + "/notify"; }
  static void listen_at(const std::string& name) { ::setenv("NOTIFY_SOCKET", name.c_str(), 1); }

 private:
  std::string folder_;
};

TEST_F(ServiceManagerTest, IsToldAtAPath) {
  const NotifySocket manager(path());
  listen_at(path());

  ASSERT_TRUE(tell_service_manager("READY=1"));

  EXPECT_EQ(manager.next(), "READY=1");
}

TEST_F(ServiceManagerTest, IsToldAtANameWithoutAFile) {
  const std::string name = "@" + path();
  const NotifySocket manager(name);
  listen_at(name);

  ASSERT_TRUE(tell_service_manager("STOPPING=1"));

  EXPECT_EQ(manager.next(), "STOPPING=1");
}

TEST_F(ServiceManagerTest, IsNotMissedWhereNobodyAsked) {
  EXPECT_TRUE(tell_service_manager("READY=1"));
}

TEST_F(ServiceManagerTest, ThatDoesNotListenIsNamed) {
  listen_at(path());

  const Status status = tell_service_manager("READY=1");

  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::io);
  EXPECT_THAT(status.error().message(), HasSubstr("NOTIFY_SOCKET=" + path()));
}

TEST_F(ServiceManagerTest, WhoseNameIsTooLongIsNamed) {
  const std::string name = "/" + std::string(200, 'x');
  listen_at(name);

  const Status status = tell_service_manager("READY=1");

  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), HasSubstr("too long"));
}

}  // namespace
}  // namespace kuilt::server
