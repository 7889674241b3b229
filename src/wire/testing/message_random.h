// wire/testing/message_random.h: values for random test messages, from a seed.
// Why:        edge values are rare in uniform chance; a shape makes one kind of edge the rule for a whole message.
// Contract:   the same seed and shape give the same message; strings and bytes live as long as the MessageRandom.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "bytes/buffer.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "wire/records.h"
#include "wire/unknown_tags.h"

namespace weir::wire::testing {

enum class Shape : std::uint8_t { defaults, nulls, empties, maxima, minima, mixed };
inline constexpr Shape all_shapes[] = {Shape::defaults, Shape::nulls,  Shape::empties,
                                       Shape::maxima,   Shape::minima, Shape::mixed};

/// How many messages of a shape show all that it can: one per depth of long arrays, and most where chance does the work.
inline constexpr std::uint64_t seeds_of(Shape shape) { return shape == Shape::mixed ? 14 : shape == Shape::minima ? 4 : 6; }

/// A count or length whose compact form needs more than one byte.
inline constexpr std::size_t long_length = 130;
/// Arrays nest no deeper; a message of the maxima shape that is not long at any depth has the longest strings instead.
inline constexpr std::uint64_t array_depth_max = 5;
inline constexpr double maximum_float64 = std::numeric_limits<double>::max();
inline model::Uuid maximum_uuid() {
  model::Uuid id;
  id.bytes.fill(0xFF);
  return id;
}

template <class T>
bool is_maximum(T value) {
  if constexpr (std::is_enum_v<T>)
    return static_cast<std::underlying_type_t<T>>(value) == std::numeric_limits<std::underlying_type_t<T>>::max();
  else if constexpr (std::is_integral_v<T>) return value == std::numeric_limits<T>::max();
  else return value.value() == std::numeric_limits<typename T::value_type>::max();
}

class MessageRandom {
 public:
  MessageRandom(std::uint64_t seed, Shape shape, bool with_unknown_tags)
      : state_(seed),
        shape_(shape),
        with_unknown_tags_(with_unknown_tags),
        long_depth_(static_cast<unsigned>(seed % (array_depth_max + 1))) {}
  MessageRandom(const MessageRandom&) = delete;
  MessageRandom& operator=(const MessageRandom&) = delete;

  /// `container`: the field holds structs, whose fields are to be seen too.
  bool keeps_default(bool container);
  bool chooses_null(bool container);

  /// An array's length. In the maxima shape, arrays of structs are long at one depth of nesting, which the seed chooses, and the
  /// items of a long array are small: otherwise messages would grow with the product of lengths.
  class Scope {
   public:
    Scope(MessageRandom& random, bool container);
    ~Scope() {
      random_.shape_ = saved_;
      --random_.depth_;
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    [[nodiscard]] std::size_t count() const { return count_; }

   private:
    MessageRandom& random_;
    Shape saved_;
    std::size_t count_ = 0;
  };

  template <class T>
  T integer() {
    if constexpr (std::is_enum_v<T>) return static_cast<T>(bits<std::underlying_type_t<T>>());
    else if constexpr (std::is_integral_v<T>) return bits<T>();
    else return T(bits<typename T::value_type>());
  }
  bool boolean();
  double float64();
  model::Uuid uuid();
  model::TopicId topic_id() { return model::TopicId{uuid()}; }
  std::string_view string();
  bytes::Bytes bytes();
  /// A view, or a list of shared buffers.
  Records records();
  void unknown_tags(UnknownTags& into, std::uint32_t first_free);

  std::uint64_t next();
  std::uint64_t below(std::uint64_t limit) { return next() % limit; }

 private:
  template <std::integral T>
  T bits() {
    if (shape_ == Shape::maxima) return std::numeric_limits<T>::max();
    if (shape_ == Shape::minima) return std::numeric_limits<T>::min();
    switch (below(6)) {
      case 0: return std::numeric_limits<T>::max();
      case 1: return static_cast<T>(below(100));
      default: return static_cast<T>(next());
    }
  }
  std::size_t length();
  const std::string& keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  std::uint64_t state_;
  Shape shape_;
  bool with_unknown_tags_;
  unsigned long_depth_;  ///< array_depth_max: no array of structs is long
  unsigned depth_ = 0;
  std::deque<std::string> kept_;
};

}  // namespace weir::wire::testing
