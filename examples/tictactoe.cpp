// A game in turns. The servers keep the board and refuse illegal moves; players only propose.
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"

constexpr auto usage =
    "usage: tictactoe serve [host:port [directory]]      keeps the game (127.0.0.1:7400, ./game)\n"
    "       tictactoe x|o ws://host:port [ws://...]      plays: a square, 1 to 9, on each line\n";

/// The rules, and nothing else: they know no server.
class Board {
 public:
  /// Why `player` may not take `square` now; empty if he may.
  [[nodiscard]] std::string objection(std::string_view player, std::string_view square) const {
    if (player != "x" && player != "o") return "players are called x and o";
    if (square.size() != 1 || square < "1" || square > "9") return "say a square, 1 to 9";
    if (over()) return "the game is over";
    if (player[0] != turn_) return std::string("it is the turn of ") + turn_;
    if (cells_[place(square)] != '.') return "that square is taken";
    return "";
  }
  /// Pre: no objection.
  void take(std::string_view square) {
    cells_[place(square)] = turn_;
    turn_ = turn_ == 'x' ? 'o' : 'x';
  }
  [[nodiscard]] std::string text() const {
    std::string all;
    for (std::size_t row = 0; row < 3; ++row) all += cells_.substr(3 * row, 3) + '\n';
    if (const char won = winner(); won != '.') return all + won + " has won";
    return all + (over() ? "a draw" : std::string("the turn of ") + turn_);
  }

 private:
  [[nodiscard]] static std::size_t place(std::string_view square) {
    return static_cast<std::size_t>(square[0] - '1');
  }
  [[nodiscard]] char winner() const {
    constexpr std::array lines = {"012", "345", "678", "036", "147", "258", "048", "246"};
    for (const std::string_view line : lines) {
      const auto at = [&](std::size_t i) {
        return cells_[static_cast<std::size_t>(line[i] - '0')];
      };
      if (at(0) != '.' && at(0) == at(1) && at(1) == at(2)) return at(0);
    }
    return '.';
  }
  [[nodiscard]] bool over() const {
    return winner() != '.' || cells_.find('.') == std::string::npos;
  }

  std::string cells_ = std::string(9, '.');
  char turn_ = 'x';
};

struct Game final : kuilt::StateMachine {
  Board board;

  /// Keeps illegal moves out of the log.
  kuilt::Status admit(const std::string& player, kuilt::BytesView square) override {
    if (auto why = board.objection(player, square.text()); !why.empty())
      return kuilt::Error(kuilt::ErrorCode::not_admitted, std::move(why));
    return kuilt::Done{};
  }
  /// Two moves that come at once may both be admitted, so the log's order decides once more.
  kuilt::Bytes apply(const kuilt::LogEntry& move) override {
    const auto why = board.objection(move.author, move.command.text());
    if (!why.empty()) return kuilt::Bytes("too late: " + why);
    board.take(move.command.text());
    return kuilt::Bytes(board.text());
  }
};

/// In one piece: callbacks print from a thread of their own.
void print(const std::string& line) { std::cout << line + '\n' << std::flush; }

int serve(const std::vector<std::string>& arguments) {
  kuilt::ServerOptions options;
  options.data = "./game";
  options.admin_listen = "";
  if (!arguments.empty()) options.listen = arguments[0];
  if (arguments.size() > 1) options.data = arguments[1];
  Game game;  // Borrowed by the server, and outlives it.
  auto server = kuilt::ServerCluster::open(options, game).or_throw();
  server.start().or_throw();
  print("the game is at " + server.endpoints().urls().front());
  return server.run_until_signal();
}

int play(const std::string& player, const kuilt::ClusterEndpoints& servers) {
  kuilt::ClientOptions options;
  options.name = player;
  auto client = kuilt::ClusterClient::connect(servers, options).or_throw();
  const auto tell = [&player](const kuilt::Committed& piece) {
    const auto* move = std::get_if<kuilt::Committed::Entry>(&piece);
    if (move == nullptr || move->entry.author == player) return;
    print(move->entry.author + " takes " + std::string(move->entry.command.text()));
  };
  client.on_committed(kuilt::from_start, tell).or_throw();
  for (std::string square; std::getline(std::cin, square);) {
    const auto done = client.propose(square).get();
    if (!done) {
      print("no: " + done.error().message());
    } else if (done->result) {
      print(std::string(done->result->text()));
    }
  }
  return 0;
}

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string what = arguments.empty() ? "" : arguments[0];
  const std::vector<std::string> rest(argv + std::min(argc, 2), argv + argc);
  try {
    if (what == "serve" && rest.size() <= 2) return serve(rest);
    if ((what == "x" || what == "o") && !rest.empty())
      return play(what, kuilt::ClusterEndpoints(rest));
  } catch (const kuilt::Failure& failure) {
    std::cerr << "tictactoe: " << failure.what() << std::endl;
    return 1;
  }
  std::fputs(usage, stderr);
  return 2;
}
