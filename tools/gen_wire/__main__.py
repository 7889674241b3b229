"""gen_wire: turns schemas into C++.

  gen_wire api SCHEMA --out DIR        DIR/wire/NAME.h and .cc: structs, decode, encode, print
  gen_wire testing SCHEMA --out DIR    DIR/wire/testing/NAME.h and .cc: random messages, coverage, type-erased codecs
  gen_wire table SCHEMA... --out DIR   DIR/wire/api_table.h and .cc: keys, names, version ranges
  gen_wire codecs SCHEMA... --out DIR  DIR/wire/testing/all_codecs.cc: the list of all messages, for tests
"""

import argparse
import os
import sys

import cpp
import schema
import tables
import testing


def write(out, name, text):
    path = os.path.join(out, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return  # the old time stands: nothing that includes it is compiled again
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["api", "testing", "table", "codecs"])
    arguments.add_argument("schemas", nargs="+")
    arguments.add_argument("--out", required=True)
    options = arguments.parse_args()
    stem = os.path.splitext(os.path.basename(options.schemas[0]))[0]
    try:
        loaded = [(os.path.splitext(os.path.basename(path))[0], schema.load(path)) for path in options.schemas]
        if options.what == "api":
            write(options.out, f"wire/{stem}.h", cpp.header(stem, loaded[0][1]))
            write(options.out, f"wire/{stem}.cc", cpp.source(stem, loaded[0][1]))
        elif options.what == "testing":
            write(options.out, f"wire/testing/{stem}_testing.cc", testing.source(stem, loaded[0][1]))
        elif options.what == "table":
            write(options.out, "wire/api_table.h", tables.header(loaded))
            write(options.out, "wire/api_table.cc", tables.source(loaded))
        else:
            write(options.out, "wire/testing/all_codecs.cc", testing.registry(loaded))
    except schema.SchemaError as error:
        sys.exit(f"gen_wire: {error}")


if __name__ == "__main__":
    main()
