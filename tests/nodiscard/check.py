"""Compiles each case of must_not_compile.txt with the project's flags; each must fail for being unused, and only for that."""
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
allowed = here / "allowed.cc"
commands = json.loads(pathlib.Path(sys.argv[1]).read_text())
entry = next(c for c in commands if pathlib.Path(c["file"]).resolve() == allowed)


def compile_text(text, *more):
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch) / "case.cc"
        source.write_text(text)
        arguments = shlex.split(entry["command"])
        arguments[arguments.index("-o") + 1] = str(source.with_suffix(".o"))
        for name in ("-MF", "-MT"):
            if name in arguments:
                arguments[arguments.index(name) + 1] = str(source.with_suffix(".d"))
        arguments[-1] = str(source)
        return subprocess.run(arguments + ["-fsyntax-only", *more], cwd=entry["directory"], capture_output=True, text=True)


template = allowed.read_text()
begin, end = "// CASE BEGINS\n", "// CASE ENDS\n"
head, rest = template.split(begin)
body, tail = rest.split(end)
failures = 0

done = compile_text(template)
if done.returncode != 0:
    print(f"FAILED: what is allowed does not compile\n{done.stderr}")
    failures += 1

cases = [line for line in (here / "must_not_compile.txt").read_text().splitlines() if line and not line.startswith("#")]
assert cases, "no cases"
# One source with a function per case; #line gives each case's number to its errors. Clang goes on after them.
signature = body.split("{\n")[0]
functions = "".join(
    f'{signature.replace("work(", f"work_{number}(")} {{\n#line {number} "case"\n  {case.split(": ", 1)[1]}\n#line 1 "frame"\n  co_return;\n}}\n'
    for number, case in enumerate(cases, 1))
done = compile_text(head + functions + tail, "-ferror-limit=0")
assert done.returncode != 0, "all cases compile"
for number, case in enumerate(cases, 1):
    errors = re.findall(rf"^case:{number}:\d+: error: (.*)", done.stderr, re.M)
    unused = [e for e in errors if re.search(r"\[-Werror,-Wunused-(result|value)\]", e)]
    if not unused or len(unused) != len(errors):
        print(f"FAILED: it compiles, or fails for another reason: {case}")
        failures += 1
    else:
        print(f"ok: {case}")
if failures:
    print(done.stderr)
print(f"{len(cases) + 1 - failures} of {len(cases) + 1} as wanted")
sys.exit(1 if failures else 0)
