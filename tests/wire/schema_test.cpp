// The codecs against the schema: protobuf's own code, generated from proto/kuilt/v1, must read the
// same values from our bytes, under the same names, and write the same bytes again.
#include <gtest/gtest.h>

#include "kuilt/v1/client.pb.h"
#include "kuilt/v1/entry.pb.h"
#include "kuilt/v1/peer.pb.h"
#include "tests/wire/random_messages.hpp"
#include "wire/client_fields.hpp"
#include "wire/entry_fields.hpp"
#include "wire/peer_fields.hpp"
#include "wire/wire_reader.hpp"

namespace kuilt::wire {
namespace {

namespace pb = google::protobuf;

/// Visitor: compares each described field with what protobuf has under its number.
class AgainstProtobuf {
 public:
  explicit AgainstProtobuf(const pb::Message& theirs) : theirs_(&theirs) {}

  template <class T>
  void field(std::uint32_t number, std::string_view name, const T& ours) {
    const std::string suffix = std::same_as<T, Duration> ? "_ns" : "";
    const pb::FieldDescriptor* field = named(number, std::string(name) + suffix);
    if (field == nullptr) return;
    if constexpr (is_list<T>) {
      compare_list(*field, ours);
    } else if constexpr (is_optional<T>) {
      ASSERT_EQ(ours.has_value(), reflection().HasField(*theirs_, field)) << name;
      if (ours) compare(*field, *ours);
    } else {
      compare(*field, ours);
    }
  }
  template <Scalar T>
  void fixed(std::uint32_t number, std::string_view name, const T& ours) {
    field(number, name, ours);
    EXPECT_EQ(theirs_->GetDescriptor()->FindFieldByNumber(static_cast<int>(number))->type(),
              pb::FieldDescriptor::TYPE_FIXED64);
  }
  void digest(std::uint32_t number, std::string_view name, std::uint64_t ours) {
    fixed(number, name, ours);
  }
  void name(std::uint32_t number, std::string_view name, std::string_view ours) {
    field(number, name, ours);
  }
  void prose(std::uint32_t number, std::string_view name, std::string_view ours) {
    field(number, name, ours);
  }
  void internal(std::uint32_t number, std::string_view name, std::string_view ours) {
    field(number, name, ours);
  }
  void payload(std::uint32_t number, std::string_view name, BytesView ours) {
    field(number, name, ours);
  }
  template <std::same_as<std::optional<Bytes>> T>
  void payload(std::uint32_t number, std::string_view name, const T& ours) {
    field(number, name, ours);
  }
  void entries(std::uint32_t number, std::string_view name, const std::vector<Bytes>& ours) {
    field(number, name, ours);
  }
  template <class... Ts, class... As>
  void one_of(std::string_view name, const std::variant<Ts...>& ours, As... alternatives) {
    const pb::OneofDescriptor* choice =
        theirs_->GetDescriptor()->FindOneofByName(std::string(name));
    ASSERT_NE(choice, nullptr) << name;
    EXPECT_EQ(choice->field_count(), static_cast<int>(sizeof...(As)));
    (alternative(*choice, ours, alternatives), ...);
  }

 private:
  [[nodiscard]] const pb::Reflection& reflection() const { return *theirs_->GetReflection(); }
  const pb::FieldDescriptor* named(std::uint32_t number, const std::string& name) {
    const auto* field = theirs_->GetDescriptor()->FindFieldByNumber(static_cast<int>(number));
    EXPECT_NE(field, nullptr) << name;
    if (field == nullptr) return nullptr;
    EXPECT_EQ(field->name(), name);
    return field;
  }
  template <class T>
  void compare(const pb::FieldDescriptor& field, const T& ours) {
    if constexpr (Scalar<T>) {
      EXPECT_EQ(number_in(field), scalar_of(ours)) << field.full_name();
    } else if (field.type() == pb::FieldDescriptor::TYPE_MESSAGE) {
      compare_message(reflection().GetMessage(*theirs_, &field), ours);
    } else {
      EXPECT_EQ(reflection().GetString(*theirs_, &field), text_of(ours)) << field.full_name();
    }
  }
  template <class T>
  void compare_message(const pb::Message& theirs, const T& ours) {
    if constexpr (Blob<T>) {
      EXPECT_EQ(theirs.SerializeAsString(), ours.text());
    } else if constexpr (!Text<T> && !is_id<T> && !is_octets<T>) {
      AgainstProtobuf visitor(theirs);
      describe(visitor, ours);
    }
  }
  template <class T>
  void compare_list(const pb::FieldDescriptor& field, const std::vector<T>& ours) {
    ASSERT_EQ(reflection().FieldSize(*theirs_, &field), static_cast<int>(ours.size()));
    for (int i = 0; i < static_cast<int>(ours.size()); ++i) {
      const T& item = ours[static_cast<std::size_t>(i)];
      if (field.type() == pb::FieldDescriptor::TYPE_MESSAGE) {
        compare_message(reflection().GetRepeatedMessage(*theirs_, &field, i), item);
      } else if constexpr (Text<T>) {
        EXPECT_EQ(reflection().GetRepeatedString(*theirs_, &field, i), item);
      } else {
        ADD_FAILURE() << field.full_name();
      }
    }
  }
  [[nodiscard]] std::uint64_t number_in(const pb::FieldDescriptor& field) const {
    using Type = pb::FieldDescriptor;
    const auto type = field.cpp_type();
    if (type == Type::CPPTYPE_UINT32) return reflection().GetUInt32(*theirs_, &field);
    if (type == Type::CPPTYPE_UINT64) return reflection().GetUInt64(*theirs_, &field);
    if (type == Type::CPPTYPE_BOOL) return reflection().GetBool(*theirs_, &field) ? 1 : 0;
    EXPECT_EQ(type, Type::CPPTYPE_ENUM) << field.full_name();
    return static_cast<std::uint64_t>(reflection().GetEnumValue(*theirs_, &field));
  }
  template <class T>
  static std::string text_of(const T& ours) {
    if constexpr (is_id<T>) {
      if (ours.is_none()) return {};
      std::string out;
      for (const std::uint64_t half : {ours.high(), ours.low()}) {
        for (int i = 7; i >= 0; --i) out += static_cast<char>(half >> (8 * i) & 0xffU);
      }
      return out;
    } else if constexpr (Text<T> || Blob<T> || is_octets<T>) {
      return std::string(BytesView(ours).text());
    } else {
      ADD_FAILURE() << "neither text nor a message";
      return {};
    }
  }
  template <class Variant, class T>
  void alternative(const pb::OneofDescriptor& choice, const Variant& ours, Alternative<T> known) {
    const pb::FieldDescriptor* field = named(known.number, std::string(known.name));
    if (field == nullptr) return;
    EXPECT_EQ(field->containing_oneof(), &choice) << known.name;
    const T* held = std::get_if<T>(&ours);
    ASSERT_EQ(held != nullptr, reflection().HasField(*theirs_, field)) << known.name;
    if (held != nullptr) compare(*field, *held);
  }

  const pb::Message* theirs_;
};

/// `M` as described reads `bytes` as protobuf's `Theirs` does, and both write them again.
template <class Theirs, class M>
void expect_equal_codecs(const Bytes& bytes) {
  Theirs theirs;
  ASSERT_TRUE(theirs.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  const M ours = decode_message<M>(bytes, &bytes).or_throw();
  AgainstProtobuf visitor(theirs);
  describe(visitor, ours);
  theirs.DiscardUnknownFields();
  EXPECT_EQ(theirs.SerializeAsString(), bytes.text());
  EXPECT_EQ(encode_message(ours), bytes);
}

constexpr int rounds = 3000;

TEST(Schema, ClientMessagesAreWhatProtobufReadsAndWrites) {
  Rng rng(31);
  for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    const Bytes frame = encode(random_client_message(rng), Encoding::protobuf);
    v1::ClientFrame theirs;
    ASSERT_TRUE(theirs.ParseFromString(std::string(frame.text())));
    EXPECT_EQ(theirs.SerializeAsString(), frame.text());
  }
}

TEST(Schema, PeerFramesAreWhatProtobufReadsAndWrites) {
  Rng rng(32);
  for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    expect_equal_codecs<v1::PeerFrame, PeerFrame>(encode(random_peer_message(rng)));
  }
}

/// Compares a message with the field of ClientFrame that protobuf found it in.
template <class Message>
void compare_frame(const Message& message) {
  v1::ClientFrame theirs;
  ASSERT_TRUE(theirs.ParseFromString(std::string(encode(message, Encoding::protobuf).text())));
  const auto compare_held = [&](const auto& held) {
    const auto* field = theirs.GetDescriptor()->FindFieldByNumber(theirs.message_case());
    ASSERT_NE(field, nullptr);
    AgainstProtobuf visitor(theirs.GetReflection()->GetMessage(theirs, field));
    describe(visitor, held);
  };
  std::visit(compare_held, message);
  EXPECT_EQ(theirs.SerializeAsString(), encode(message, Encoding::protobuf).text());
}

TEST(Schema, ClientFieldsHaveTheNamesAndValuesOfTheSchema) {
  Rng rng(33);
  for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    compare_frame(random_client_message(rng));
    compare_frame(random_server_message(rng));
  }
}

TEST(Schema, StoredEntriesAreWhatProtobufReadsAndWrites) {
  Rng rng(34);
  for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    const raft::Entry entry = random_entry(rng, random_position(rng));
    if (entry.kind == raft::EntryKind::no_op) continue;
    expect_equal_codecs<v1::StoredEntry, StoredParts>(entry.stored);
    if (entry.kind == raft::EntryKind::command) {
      expect_equal_codecs<v1::Entry, PublicPart>(public_part(entry));
    }
    v1::StoredEntry theirs;
    ASSERT_TRUE(theirs.ParseFromString(std::string(entry.stored.text())));
    EXPECT_EQ(theirs.has_origin(), entry.kind == raft::EntryKind::command);
    if (theirs.has_origin()) {
      expect_equal_codecs<v1::Origin, Origin>(Bytes(theirs.origin().SerializeAsString()));
    }
  }
}

TEST(Schema, ConfigurationsAreWhatProtobufReadsAndWrites) {
  Rng rng(35);
  for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    expect_equal_codecs<v1::Configuration, raft::Configuration>(
        encode_configuration_record(random_configuration(rng)));
    expect_equal_codecs<v1::Configuration, raft::Configuration>(
        encode_configuration_record(random_changing_configuration(rng)));
  }
}

}  // namespace
}  // namespace kuilt::wire
