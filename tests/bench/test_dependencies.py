"""What the project depends on: the lock, licences, advisories, the bill of materials."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import cyclonedx.schema
import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from bench.dependencies import (
    ACCEPTED,
    LOCK,
    Package,
    bill_of_materials,
    faults_of_licences,
    faults_of_versions,
    installed,
    is_allowed,
    judge_advisories,
    read_lock,
)

LOCKED = read_lock(LOCK.read_text(encoding="utf-8"))


def package(name: str, licence: str = "MIT", needs: tuple[str, ...] = ()) -> Package:
    return Package(name, "1.0", licence, frozenset(needs))


def test_the_core_is_small_and_as_the_lock_says() -> None:
    core = installed([])
    assert {"asr-gate", "click", "pydantic", "pydantic-core"} <= core.keys()
    assert not core.keys() & {"numpy", "torch", "pytest"}
    assert faults_of_versions(core, LOCKED) == []


def test_a_version_that_the_lock_does_not_have_is_a_fault() -> None:
    packages = {"click": package("click"), "stranger": package("stranger")}
    assert [fault.split()[0] for fault in faults_of_versions(packages, LOCKED)] == [
        "click",
        "stranger",
    ]


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("Apache-2.0 AND (MIT OR LGPL-3.0-only)", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("MIT License AND BSD License", True),
        ("MIT License AND Commercial", False),
        ("", False),
        ("GPL-3.0-only", False),
    ],
)
def test_a_licence_is_allowed_in_all_its_parts(licence: str, allowed: bool) -> None:
    assert is_allowed(licence, {"MIT", "Apache-2.0", "MIT License", "BSD License"}) is allowed


def test_a_licence_can_be_accepted_for_one_package() -> None:
    packages = {"a": package("a", "Odd"), "b": package("b", "Odd"), "c": package("c")}
    (fault,) = faults_of_licences(packages, {"MIT"}, {"a": "reason"})
    assert fault.startswith("b 1.0")
    assert faults_of_licences(packages, {"MIT"}, {"Odd": "reason"}) == []


def test_what_is_accepted_has_a_reason() -> None:
    settings = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))
    reasons = {**settings["licences"]["accepted"], **settings["advisories"]["accepted"]}
    assert all(len(reason) > 10 for reason in reasons.values())


def test_an_advisory_that_a_newer_version_mends_is_a_fault() -> None:
    def advisory(name: str, fixed: list[str], *aliases: str) -> dict[str, Any]:
        return {"id": name, "fix_versions": fixed, "aliases": list(aliases), "description": ""}

    told = {
        "dependencies": [
            {"name": "good", "version": "1", "vulns": []},
            {"name": "unknown", "skip_reason": "not there"},
            {
                "name": "bad",
                "version": "1",
                "vulns": [
                    advisory("PYSEC-1", ["2"]),
                    advisory("PYSEC-2", []),
                    advisory("PYSEC-3", ["2"], "CVE-3"),
                ],
            },
        ]
    }
    notes, faults = judge_advisories(told, {"CVE-3": "does not apply"})
    assert len(faults) == 1
    assert "PYSEC-1" in faults[0]
    assert [next(w for w in ("unknown", "PYSEC-2", "PYSEC-3") if w in n) for n in notes] == [
        "unknown",
        "PYSEC-2",
        "PYSEC-3",
    ]
    assert "does not apply" in notes[-1]


def test_the_bill_of_materials_is_valid_and_the_same_each_time() -> None:
    packages = {
        "asr-gate": package("asr-gate", needs=("click", "odd")),
        "click": Package("click", next(iter(LOCKED["click"])), "BSD-3-Clause", frozenset()),
        "odd": package("odd", "Some Licence"),
    }
    text = bill_of_materials(packages, {"asr-gate", "click"}, LOCKED)
    assert text == bill_of_materials(packages, {"asr-gate", "click"}, LOCKED)
    document = json.loads(text)
    folder = Path(cyclonedx.schema.__file__).parent / "_res"
    schemas = [json.loads(file.read_text()) for file in folder.glob("*.schema.json")]
    registry = Registry().with_resources(
        [(schema["$id"], Resource.from_contents(schema)) for schema in schemas if "$id" in schema]
    )
    (schema,) = (s for s in schemas if s.get("$id", "").endswith("bom-1.6.schema.json"))
    Draft7Validator(schema, registry=registry).validate(document)
    click, odd = sorted(document["components"], key=lambda part: part["name"])
    assert [digest["content"] for digest in click["hashes"]] == LOCKED["click"][click["version"]]
    assert Counter(part["scope"] for part in (click, odd)) == {"required": 1, "optional": 1}
    assert document["metadata"]["component"]["name"] == "asr-gate"
