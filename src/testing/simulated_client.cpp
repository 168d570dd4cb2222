#include <utility>

#include "testing/user_program.hpp"

namespace kuilt::testing {

std::size_t SimulatedClient::number() const { return impl_.number(); }
unsigned SimulatedClient::starts() const { return impl_.starts(); }
std::chrono::nanoseconds SimulatedClient::now() const { return impl_.now(); }
std::uint64_t SimulatedClient::random(std::uint64_t bound) { return impl_.random(bound); }
bool SimulatedClient::ending() const { return impl_.ending(); }

void SimulatedClient::after(std::chrono::nanoseconds delay, std::function<void()> callback) {
  impl_.after(delay, std::move(callback));
}
void SimulatedClient::expect(bool holds, const std::string& sentence) {
  impl_.expect(holds, sentence);
}
Pending<Receipt> SimulatedClient::propose(BytesView command, const ProposeOptions& options) {
  return impl_.propose(command, options);
}
Status SimulatedClient::on_committed(From from, std::function<void(const Committed&)> callback,
                                     const ObserveOptions& options,
                                     std::function<void(const Error&)> on_end) {
  return impl_.on_committed(from, std::move(callback), options.room, std::move(on_end));
}

}  // namespace kuilt::testing
