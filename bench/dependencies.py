"""What the project depends on: digests, licences, known advisories, and a bill of materials.

Run: python -m bench.dependencies
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from license_expression import Licensing
from packageurl import PackageURL
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
ACCEPTED = Path(__file__).with_suffix(".toml")
PROJECT = "asr-gate"
TOOLS = {"bench", "dev", "docs"}
"""Extras that whoever installs the project to use it does not need."""
PATIENCE = 120.0
"""Seconds for all advisories."""
NO_LICENCE = "none declared"


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is installed here because the project needs it."""

    name: str
    version: str
    licence: str
    """An SPDX expression, or what the package's classifiers or its field `License` say."""
    needs: frozenset[str]
    """Names of the packages that it needs on this platform."""


def read_lock(text: str) -> dict[str, dict[str, list[str]]]:
    """By name and version: the SHA-256 digests of a lock's files."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        pinned, *digests = line.split(" --hash=sha256:")
        requirement = Requirement(pinned)
        number = str(requirement.specifier).removeprefix("==")
        versions = found.setdefault(canonicalize_name(requirement.name), {})
        versions[number] = [digest.strip() for digest in digests]
    return found


def installed(extras: Iterable[str]) -> dict[str, Package]:
    """The project with these extras and all that they need, by name, as installed here."""
    found: dict[str, Package] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(PROJECT, extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            there = distribution(name)
        except PackageNotFoundError:  # an extra that is not installed here
            continue
        needs = set(found[name].needs) if name in found else set()
        for text in there.requires or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            needed = canonicalize_name(requirement.name)
            needs.add(needed)
            waiting += [(needed, more) for more in ("", *requirement.extras)]
        found[name] = Package(name, there.version, licence_of(name), frozenset(needs - {name}))
    return dict(sorted(found.items()))


def licence_of(name: str) -> str:
    """What an installed package declares: an SPDX expression, or else names of licences."""
    about = distribution(name).metadata.json
    field = str(about.get("license", "")).strip().partition("\n")[0]
    for expression in (str(about.get("license_expression", "")), field):
        if is_spdx(expression):
            return expression
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in about.get("classifier", [])
        if line.startswith("License :: ") and not line.lower().endswith(" approved")
    ]
    return " AND ".join(sorted(classifiers)) or field or NO_LICENCE


def is_spdx(licence: str) -> bool:
    """Whether this is an SPDX expression and no other name."""
    try:
        canonicalize_license_expression(licence)
    except InvalidLicenseExpression:
        return False
    return True


def is_allowed(licence: str, allowed: set[str]) -> bool:
    """Whether a licence may be used: one of those joined by OR, all of those joined by AND."""
    if not is_spdx(licence):
        return all(part in allowed for part in licence.split(" AND "))
    licensing = Licensing()
    return _holds(licensing.parse(licence), licensing, allowed)


def _holds(node: Any, licensing: Licensing, allowed: set[str]) -> bool:
    if isinstance(node, licensing.OR):
        return any(_holds(part, licensing, allowed) for part in node.args)
    if isinstance(node, licensing.AND):
        return all(_holds(part, licensing, allowed) for part in node.args)
    return str(node) in allowed


def faults_of_versions(
    packages: dict[str, Package], lock: dict[str, dict[str, list[str]]]
) -> list[str]:
    """Packages that are installed here in another version than the lock has."""
    return [
        f"{package.name} {package.version}: not in {LOCK.name}; remake it, or install by it"
        for package in packages.values()
        if package.name != PROJECT and package.version not in lock.get(package.name, {})
    ]


def faults_of_licences(
    packages: dict[str, Package], allowed: set[str], accepted: dict[str, str]
) -> list[str]:
    """Packages whose licence is neither allowed nor accepted, by its name or by theirs."""
    return [
        f"{package.name} {package.version}: licence {package.licence!r} is not allowed"
        for package in packages.values()
        if not accepted.keys() & {package.name, package.licence}
        and not is_allowed(package.licence, allowed)
    ]


def ask_for_advisories() -> dict[str, Any] | str:
    """What pip-audit says of the lock, from the OSV database; why not, where it could not ask."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes"]
    command += ["--disable-pip", "--vulnerability-service", "osv", "--format", "json"]
    command += ["--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"no answer within {PATIENCE:.0f} s"
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return _last_line(done.stderr)
    if not any("vulns" in package for package in told["dependencies"]):
        return "the database knows none of the packages"
    return told


def _last_line(trace: str) -> str:
    """The reason at the end of a traceback, without the pool, the address and the retries."""
    line = (trace.strip().splitlines() or ["no answer"])[-1]
    return line.rpartition("Caused by ")[2].removesuffix(")")[:200]


def judge_advisories(told: dict[str, Any], accepted: dict[str, str]) -> tuple[list[str], list[str]]:
    """What is to be printed of the advisories, and what fails.

    Args:
        told: the JSON of pip-audit.
        accepted: reasons, by an id or alias of an advisory.

    Returns:
        Notes: accepted, or without a fixed version. Faults: those that a newer version mends.
    """
    notes, faults = [], []
    for package in told["dependencies"]:
        if "skip_reason" in package:
            notes.append(f"{package['name']}: not looked up: {package['skip_reason']}")
        for advisory in package.get("vulns", []):
            what = f"{package['name']} {package['version']}: {advisory['id']}"
            reasons = accepted.keys() & {advisory["id"], *advisory["aliases"]}
            if reasons:
                notes.append(f"{what}: accepted: {accepted[min(reasons)]}")
            elif advisory["fix_versions"]:
                faults.append(f"{what}: mended in {', '.join(advisory['fix_versions'])}")
            else:
                notes.append(f"{what}: no version mends it yet")
    return notes, faults


def bill_of_materials(
    packages: dict[str, Package], core: set[str], lock: dict[str, dict[str, list[str]]]
) -> str:
    """A CycloneDX document: the same packages give the same bytes.

    Args:
        packages: with the project itself among them.
        core: names of those that every install needs; the others come with extras.
        lock: for the digests of the files that a package may be installed from.
    """
    components = {}
    for name, package in packages.items():
        declared = LicenseExpression if is_spdx(package.licence) else _named
        address = PackageURL("pypi", None, name, package.version)
        components[name] = Component(
            name=name,
            version=package.version,
            type=ComponentType.APPLICATION if name == PROJECT else ComponentType.LIBRARY,
            scope=ComponentScope.REQUIRED if name in core else ComponentScope.OPTIONAL,
            bom_ref=str(address),
            purl=address,
            licenses=[declared(package.licence)] if package.licence != NO_LICENCE else [],
            hashes=[
                HashType(alg=HashAlgorithm.SHA_256, content=digest)
                for digest in lock.get(name, {}).get(package.version, [])
            ],
        )
    bom = Bom(components=[part for name, part in components.items() if name != PROJECT])
    bom.metadata.component = components[PROJECT]
    for name, package in packages.items():
        needed = [components[one] for one in sorted(package.needs & components.keys())]
        bom.register_dependency(components[name], needed)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"], document["serialNumber"]
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = uuid5(NAMESPACE_URL, content).urn
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _named(licence: str) -> DisjunctiveLicense:
    return DisjunctiveLicense(name=licence)


def main() -> None:
    """Print what was looked at and write the bill of materials; exit code 1 if there is a fault."""
    settings = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))
    licences, advisories = settings["licences"], settings["advisories"]
    lock = read_lock(LOCK.read_text(encoding="utf-8"))
    extras = distribution(PROJECT).metadata.get_all("Provides-Extra", [])
    everything = installed(extras)
    away = sorted(lock.keys() - everything.keys())
    faults = faults_of_versions(everything, lock)
    print(f"versions: {len(everything) - 1} installed packages compared with {LOCK.name}")
    faults += faults_of_licences(everything, set(licences["allow"]), licences["accepted"])
    print(f"licences: {len(everything)} looked at; {len(away)} of the lock are not installed here")
    told = ask_for_advisories()
    if isinstance(told, str):
        print(f"advisories: not run: {told}")
    else:
        notes, found = judge_advisories(told, advisories["accepted"])
        faults += found
        print(f"advisories: {len(told['dependencies'])} packages looked up, {len(found)} faults")
        print("".join(f"  {note}\n" for note in notes), end="")
    target = ROOT / "build" / f"{PROJECT}-{version(PROJECT)}.cdx.json"
    target.parent.mkdir(exist_ok=True)
    shipped = installed([extra for extra in extras if extra not in TOOLS])
    target.write_text(bill_of_materials(shipped, set(installed([])), lock), encoding="utf-8")
    print(f"bill of materials: {len(shipped)} packages, {target.relative_to(ROOT)}")
    if faults:
        sys.exit("".join(f"fault: {fault}\n" for fault in faults).rstrip())


if __name__ == "__main__":
    main()
