"""The reference of the public headers: made without a warning, and nothing in it lacks its words.

usage: reference_test.py
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make(headers, into):
    """What Doxygen complains of."""
    settings = (ROOT / "docs/Doxyfile").read_text()
    settings += f"\nINPUT = {headers}\nOUTPUT_DIRECTORY = {into}\nGENERATE_HTML = NO\n"
    done = subprocess.run(["doxygen", "-"], input=settings, text=True, capture_output=True, cwd=ROOT)
    return done.stderr.splitlines() or ([] if done.returncode == 0 else ["doxygen has failed"])


def words(element):
    parts = (element.find(name) for name in ("briefdescription", "detaileddescription"))
    return "".join("".join(part.itertext()) for part in parts if part is not None).strip()


def speaks_for_itself(member, compound):
    """Written in place, by the compiler, or for kuilt itself; a plain field outside the options."""
    if member.get("kind") in ("friend", "typedef"):
        return compound.get("kind") != "namespace"
    if member.get("kind") == "variable":
        return compound.get("kind") in ("class", "struct") and \
            not compound.findtext("compoundname").endswith("Options")
    name, arguments = member.findtext("name"), member.findtext("argsstring")
    is_special = name.startswith(("~", "operator")) or "&&" in arguments or "=default" in arguments
    return member.get("inline") == "yes" or is_special or "detail::" in arguments


def undocumented(folder):
    for path in sorted(pathlib.Path(folder).glob("xml/*.xml")):
        for compound in xml.parse(path).getroot().iter("compounddef"):
            of = compound.findtext("compoundname")
            if compound.get("kind") in ("class", "struct") and not words(compound):
                yield of
            members = [m for m in compound.iter("memberdef") if m.get("prot") == "public"]
            documented = {m.findtext("name") for m in members if words(m)}  # One of a name will do.
            for member in members:
                if member.findtext("name") not in documented and \
                        not speaks_for_itself(member, compound):
                    yield f"{of}::{member.findtext('name')}"


CONTROL = """
#include <string>
namespace kuilt {
/// Documented, badly: @param nothing is not there.
void documented(int something);
void function();
struct Struct {};
/// A class.
class Class {
 public:
  Class(Class&&) noexcept;
  int in_place() const { return 1; }
  int method() const;
};
/// Options.
struct SomeOptions {
  int option = 0;
};
}  // namespace kuilt
"""


def control(scratch):
    (scratch / "control").mkdir()
    (scratch / "control/control.hpp").write_text(CONTROL)
    warnings = make(scratch / "control", scratch / "of-control")
    if not re.search("argument 'nothing'", "\n".join(warnings)):
        yield f"a wrong @param was not noticed, but: {warnings}"
    found = set(undocumented(scratch / "of-control"))
    wanted = {f"kuilt::{name}" for name in
              ("function", "Struct", "Class::method", "SomeOptions::option")}
    if found != wanted:
        yield f"of the control {found} lack words, not {wanted}"


def main():
    if not shutil.which("doxygen"):
        return "doxygen is not installed (packages_test in scripts/lib.sh)"
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        wrong = make(ROOT / "include/kuilt", scratch / "reference")
        wrong += [f"{name} is not documented" for name in undocumented(scratch / "reference")]
        return "\n".join([*wrong, *control(scratch)])


if __name__ == "__main__":
    sys.exit(main() or 0)
