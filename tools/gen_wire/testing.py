"""Emits random messages, coverage of fields by version, and a type-erased codec per message, for tests, fuzzing and simulation."""

import cpp
from schema import OPEN_END

SEEN_EMPTY = {"string", "bytes", "records"}


def classes(field, message):
    """What must be seen of a field besides null: names of Seen bits."""
    out = []
    if field.array or field.wire in SEEN_EMPTY:
        out.append("empty")
    if field.array or field.wire:
        out += ["maximum", "default_value"]
    elif field.tag is not None or field.can_be_null:
        out.append("default_value")
    return out


def is_default(field, source):
    if not field.wire and not field.array and not field.can_be_null:
        return None if field.tag is None else f"is_default_{field.type}({source})"
    return f"!({cpp.not_default(field, source)})"


def maximum(field, value):
    """A test that the (non-null) value is the largest that its type can have, or needs a long length."""
    if field.array:
        return f"{value}.size() >= long_length"
    if field.wire == "string":
        return f"{value}.size() == static_cast<std::size_t>(string_bytes_max)"
    if field.wire in ("bytes", "records"):
        return f"{value}.size() >= long_length"
    if field.wire == "boolean":
        return value
    if field.wire == "uuid":
        return f"{value}.bytes == maximum_uuid().bytes"
    if field.wire == "float64":
        return f"{value} == maximum_float64"
    return f"is_maximum({value})"


def random_value(field, message, body, target):
    kind = cpp.in_message(field, message, cpp.element_type(field))
    container = "true" if not field.wire else "false"
    if field.array:
        items = target
        if field.can_be_null:
            body.add(f"auto& items = {target}.emplace();")
            items = "items"
        body.add(f"const MessageRandom::Scope scope(random, {container});")
        body.add(f"{items}.resize(scope.count());")
        body.open(f"for ([[maybe_unused]] auto& item : {items}) {{")
        if not field.wire:
            body.add(f"random_{field.type}(random, version, item);")
        else:
            body.add(f"item = random.{random_call(field)};")
        body.close()
    elif not field.wire:
        if field.can_be_null:
            body.add(f"{target} = {message.name}::{field.type}{{}};")
            body.add(f"random_{field.type}(random, version, *{target});")
        else:
            body.add(f"random_{field.type}(random, version, {target});")
    else:
        body.add(f"{target} = random.{random_call(field)};")
    return kind


def random_call(field):
    special = {"boolean": "boolean()", "float64": "float64()", "string": "string()", "bytes": "bytes()", "records": "records()",
               "uuid": "uuid()", "TopicId": "topic_id()", "ErrorCode": "integer<model::ErrorCode>()"}
    return special.get(field.type) or special.get(field.wire if field.wire == "uuid" else "") or f"integer<{cpp.element_type(field)}>()"


def random_struct(struct, message):
    body = cpp.Body()
    for field in struct.fields:
        test = cpp.condition(field.versions, message.versions)
        body.open(f"if ({test}) {{" if test else "{")
        null_ok = cpp.nullable_test(field, message) if field.can_be_null else "false"
        default_ok = null_ok if field.default == "null" else "true"
        container = "true" if not field.wire else "false"
        body.open(f"if ({default_ok} && random.keeps_default({container})) {{")
        if field.can_be_null:
            body.close(f"}} else if ({null_ok} && random.chooses_null({container})) {{")
            body.level += 1
            body.add(f"out.{field.name} = {'Records{}' if cpp.is_records(field) else 'std::nullopt'};")
        body.close("} else {")
        body.level += 1
        random_value(field, message, body, f"out.{field.name}")
        body.close()
        body.close()
    if message.flexible:
        first_free = 1 + max([f.tag for f in struct.fields if f.tag is not None], default=-1)
        test = cpp.condition(message.flexible, message.versions)
        body.add(f"{'if (' + test + ') ' if test else ''}random.unknown_tags(out.unknown_tags, {first_free});")
    return (f"void random_{struct.name}(MessageRandom& random, [[maybe_unused]] std::int16_t version, {cpp.qualified(message, struct)}& out) {{\n"
            f"{body.text()}}}\n\n")


def cover_struct(struct, message, facts):
    body = cpp.Body()
    for field in struct.fields:
        test = cpp.condition(field.versions, message.versions)
        body.open(f"if ({test}) {{" if test else "{")
        source = f"in.{field.name}"
        index = len(facts)
        facts.append((f"{struct.name}.{field.name}", field))
        body.add("unsigned seen = 0;")
        default = is_default(field, source)
        if default and "default_value" in classes(field, message):
            body.add(f"if ({default}) seen |= Seen::default_value;")
        value = source
        nullable = field.can_be_null and not cpp.is_records(field)
        if field.can_be_null:
            body.open(f"if ({source + '.is_null()' if cpp.is_records(field) else '!' + source}) {{")
            body.add("seen |= Seen::null;")
            body.close("} else {")
            body.level += 1
            value = f"(*{source})" if nullable else source
        if "empty" in classes(field, message):
            body.add(f"if ({value}.size() == 0) seen |= Seen::empty;")
        if "maximum" in classes(field, message):
            body.add(f"if ({maximum(field, value)}) seen |= Seen::maximum;")
        if not field.wire:
            call = f"cover_{field.type}(cover, version, {{}});"
            body.add(f"for (const auto& item : {value}) {call.format('item')}" if field.array else call.format(value))
        if field.can_be_null:
            body.close()
        body.add(f"cover.see({index}, version, seen);")
        body.close()
    if message.flexible:
        index = len(facts)
        facts.append((f"{struct.name}.unknown_tags", None))
        test = cpp.condition(message.flexible, message.versions)
        body.add(f"if ({test + ' && ' if test else ''}!in.unknown_tags.empty()) cover.see({index}, version, Seen::unknown_tag);")
    return (f"void cover_{struct.name}(MessageCoverage& cover, std::int16_t version, const {cpp.qualified(message, struct)}& in) {{\n"
            f"{body.text()}}}\n\n")


def fact_line(path, field, message):
    if field is None:
        struct = next(s for s in message.structs + [message.root] if path == f"{s.name}.unknown_tags")
        span = message.flexible & struct.versions
        return f'    {{"{path}", {span.first}, {span.last}, 1, 0, Seen::unknown_tag}},\n'
    seen = " | ".join(f"Seen::{name}" for name in classes(field, message)) or "0"
    span, null = field.versions & message.versions, field.nullable & message.versions
    return f'    {{"{path}", {span.first}, {min(span.last, OPEN_END)}, {null.first}, {null.last}, {seen}}},\n'


def codec_name(stem, message):
    return f"{stem}_{message.kind}_codec"


def source(stem, api):
    out = (f"// wire/testing/{stem}_testing.cc: generated by tools/gen_wire from schemas/{stem}.schema; do not edit.\n"
           f'#include "wire/{stem}.h"\n#include "wire/reader.h"\n#include "wire/testing/codec.h"\n#include "wire/testing/message_random.h"\n'
           "\nnamespace weir::wire::testing {\n")
    for message in api.messages:
        facts = []
        out += f"\nnamespace {{\nnamespace {message.kind}_testing {{\n\n"
        for struct in cpp.structs_compared(message):
            out += cpp.default_struct(struct, message)
        for struct in message.structs + [message.root]:
            out += random_struct(struct, message) + cover_struct(struct, message, facts)
        out += f"constexpr FieldFact {message.name}_facts[] = {{\n" + "".join(fact_line(path, field, message) for path, field in facts) + "};\n\n"
        out += f"}}  // namespace {message.kind}_testing\n}}  // namespace\n\n"
        space = f"{message.kind}_testing"
        key = api.key if api.key is not None else -1
        out += (f"const Codec& {codec_name(stem, message)}() {{\n"
                f"  static const Codec codec = make_codec<{message.name}>(\"{message.kind}\", {key}, {space}::{message.name}_facts, {space}::random_{message.name}, "
                f"{space}::cover_{message.name});\n  return codec;\n}}\n")
    return out + "\n}  // namespace weir::wire::testing\n"


def registry(loaded):
    names = [codec_name(stem, message) for stem, api in sorted(loaded, key=lambda pair: (pair[1].key is None, pair[1].key)) for message in api.messages]
    out = ("// wire/testing/all_codecs.cc: generated by tools/gen_wire from schemas/; do not edit.\n"
           '#include "wire/testing/codec.h"\n\nnamespace weir::wire::testing {\n\n')
    out += "".join(f"const Codec& {name}();\n" for name in names)
    out += "\nstd::vector<const Codec*> all_codecs() {\n  return {\n" + "".join(f"      &{name}(),\n" for name in names) + "  };\n}\n"
    return out + "\n}  // namespace weir::wire::testing\n"
