"""The workflow and the action, as `docs/ci.md` and `action.yml` have them, run step by step.

GitHub's runner is simulated: variables, files, `needs`, `if`, `${{ … }}` as far as these files use
them. Other people's actions are noted and not run.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from asr_gate.audit.records.report import Decision, Report
from tests.audit.report.reports import finding, report_of, write_report
from tests.e2e.asr import asr, asr_here, asr_without, one_line
from tests.once import made_once
from tests.speech import ROOT

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
DEFAULTS = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()}
"""What the action takes for inputs that are not given."""
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
SCHEMA = ROOT / "tests" / "audit" / "report" / "sarif-schema-2.1.0.json"
OFFLINE = ("NewConnectionError", "Temporary failure in name resolution", "ConnectTimeout")
ENVIRONMENT = "asr-gate"
"""The folder of what the action installs, in the runner's temporary folder."""
VARIABLES: dict[str, str] = {}
"""What the organisation has set."""
HEAVY = {"torch", "numpy", "pyarrow", "pandas", "transformers", "wandb", "yaml"}


def page(name: str) -> Any:
    """A file that the page shows, by the comment on its first line."""
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        if block.startswith(f"# {name}\n"):
            return yaml.safe_load(block)
    raise AssertionError(f"docs/ci.md has no {name}")


@dataclass
class Step:
    """What became of one step."""

    says: dict[str, Any]
    code: int
    out: str = ""
    err: str = ""
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Runner:
    """A machine with a checkout, and the runner's folder for temporary files."""

    workspace: Path
    temporary: Path
    commands: Path | None = None
    """Commands that are installed on this machine."""
    steps: list[Step] = field(default_factory=list)

    def workflow(self, workflow: Any) -> dict[str, bool | None]:
        """Run all jobs; whether each went well, None where it was not run."""
        ended: dict[str, bool | None] = {}
        for name, job in workflow["jobs"].items():
            needs = job.get("needs", [])
            needs = [needs] if isinstance(needs, str) else needs
            well = all(ended[other] for other in needs)
            ended[name] = self.job(job["steps"], {}) if well else None
        return ended

    def job(self, steps: list[Any], inputs: dict[str, str]) -> bool:
        """Run steps, a job's or an action's; whether all went well."""
        well = True
        known: dict[str, Step] = {}
        for says in steps:
            if not self._is_due(says.get("if"), well, inputs, known):
                continue
            given = {
                name: self._filled(str(value), inputs, known)
                for name, value in (says.get("with") or says.get("env") or {}).items()
            }
            step = self._step(says, given)
            self.steps.append(step)
            known[says.get("id", "")] = step
            well = well and step.code == 0
        return well

    def _step(self, says: dict[str, Any], given: dict[str, str]) -> Step:
        uses = says.get("uses", "")
        if uses == "./tools/asr-gate":
            assert set(given) <= set(DEFAULTS)
            return Step(says, 0 if self.job(ACTION["runs"]["steps"], DEFAULTS | given) else 1)
        if uses.startswith("actions/setup-python@"):
            return Step(says, 0, outputs={"python-path": sys.executable})
        if uses.startswith("github/codeql-action/upload-sarif@"):
            validate(Path(given["sarif_file"]))
            return Step(says, 0)
        if uses:
            assert uses.startswith("actions/checkout@")
            return Step(says, 0)
        return self._run(says, given)

    def _run(self, says: dict[str, Any], given: dict[str, str]) -> Step:
        if "-m venv" in says["run"] and (self.temporary / ENVIRONMENT).exists():
            return Step(says, 0)  # the one environment of all tests
        files = {name: self.temporary / f"{name}-{len(self.steps)}" for name in ("out", "summary")}
        for path in files.values():
            path.write_text("")
        kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "LANG", "LC_"))}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", says["run"]],
            cwd=self.workspace,
            env=kept
            | {
                "PATH": f"{self.commands}:/usr/bin:/bin" if self.commands else "/usr/bin:/bin",
                "HOME": str(self.temporary),
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(self.workspace),
                "GITHUB_ACTION_PATH": str(self.workspace / "tools" / "asr-gate"),
                "GITHUB_OUTPUT": str(files["out"]),
                "GITHUB_STEP_SUMMARY": str(files["summary"]),
                "RUNNER_TEMP": str(self.temporary),
            }
            | given,
            capture_output=True,
            text=True,
            timeout=200,
        )
        if done.returncode and any(sign in done.stderr for sign in OFFLINE):
            pytest.skip(f"no package index can be reached: {done.stderr.splitlines()[-1]}")
        outputs = dict(line.split("=", 1) for line in files["out"].read_text().splitlines())
        summary = files["summary"].read_text()
        return Step(says, done.returncode, done.stdout, done.stderr, summary, outputs)

    @staticmethod
    def _filled(text: str, inputs: dict[str, str], known: dict[str, Step]) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: value_of(found[1], inputs, known), text)

    @staticmethod
    def _is_due(
        condition: str | None, well: bool, inputs: dict[str, str], known: dict[str, Step]
    ) -> bool:
        if condition is None:
            return well
        assert condition.split(" && ")[0] == "always()"
        for part in condition.split(" && ")[1:]:
            name, sign, text = part.split(" ")
            equal = value_of(name, inputs, known) == text.strip("'")
            if equal != (sign == "=="):
                return False
        return True

    def step(self, name: str) -> Step:
        """The step of a name, or of a script that holds it."""
        (found,) = [s for s in self.steps if name in (s.says.get("name", ""), s.says.get("id", ""))]
        return found


def value_of(expression: str, inputs: dict[str, str], known: dict[str, Step]) -> str:
    kind, *path = expression.split(".")
    if kind == "vars":
        return VARIABLES.get(path[0], "")
    if kind == "inputs":
        (name,) = path
        return inputs[name]
    assert kind == "steps", expression
    name, what, output = path
    assert what == "outputs"
    return known[name].outputs.get(output, "") if name in known else ""


def validate(path: Path) -> Any:
    """A SARIF file that its schema takes; its only run."""
    log = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft4Validator(json.loads(SCHEMA.read_text())).validate(log)
    (run,) = log["runs"]
    return run


def lay_traps(workspace: Path) -> Path:
    """Fill a checkout with what Python might take for its modules; what these would write."""
    pwned = workspace / "pwned"
    code = f"open({str(pwned)!r}, 'w').write('x')\n"
    for name in ("venv.py", "pip.py", "click.py", "asr_gate.py", "sitecustomize.py", "json.py"):
        (workspace / name).write_text(code)
    for name in ("audit", "cli", "train", "asr_gate"):
        (workspace / name).mkdir(exist_ok=True)
        (workspace / name / "__init__.py").write_text(code)
    (workspace / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/\n")
    return pwned


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `source`, the project as a submodule has it (no environment, nothing built),
    and `temporary`, a runner's temporary folder with the environment that the action makes.

    It is made once for all tests, in a checkout that would like to meddle.
    """
    with made_once(tmp_path_factory, "action") as (folder, there):
        if not there:
            skip = shutil.ignore_patterns(
                ".*_cache", ".venv", ".git", "build", "*.egg-info", "wandb", "runs", "reports",
                "tests", "__pycache__",
            )  # fmt: skip
            shutil.copytree(ROOT, folder / "source", ignore=skip)
            (folder / "temporary").mkdir()
            workspace = folder / "hostile"
            (workspace / "tools").mkdir(parents=True)
            (workspace / "tools" / "asr-gate").symlink_to(folder / "source")
            pwned = lay_traps(workspace)
            runner = Runner(workspace, folder / "temporary")
            assert runner.job(ACTION["runs"]["steps"][:2], DEFAULTS), runner.steps[-1].err
            assert not pwned.exists(), "code of the repository was run"
    return folder


@pytest.fixture
def runner(action: Path, tmp_path: Path) -> Runner:
    """A checkout like the page's, and no report in it yet; `asr` there only notes its arguments."""
    workspace = tmp_path / "model"
    (workspace / ".git").mkdir(parents=True)
    (workspace / "corpus").mkdir()
    (workspace / "corpus" / "train.jsonl").write_text('{"text": "a"}\n' * 3)
    (workspace / "tools").mkdir()
    (workspace / "tools" / "asr-gate").symlink_to(action / "source")
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "asr").write_text('#!/bin/sh\nprintf "%s\\n" "$*" >> trained\n')
    (commands / "asr").chmod(0o755)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (temporary / ENVIRONMENT).symlink_to(action / "temporary" / ENVIRONMENT)
    return Runner(workspace, temporary, commands)


def made(decision: Decision, **changes: Any) -> Report:
    return report_of(
        finding("u2", "A001", origin="train.jsonl:2", message="40% is said: $(id) `id`"),
        finding("u3", "A005", severity="warning", origin="train.jsonl:3"),
        decision=decision,
        reasons=[f"{decision} because of the test"],
        **changes,
    )


@pytest.fixture
def asr_core(action: Path) -> str:
    """The command of the core install, which the action's own step makes."""
    return str(action / "temporary" / ENVIRONMENT / "bin" / "asr")


@pytest.mark.parametrize(
    ("decision", "code"), [("PROCEED", 0), ("CAUTION", 10), ("STOP", 20), ("NO_VERDICT", 30)]
)
def test_training_waits_for_the_gate(decision: Decision, code: int, runner: Runner) -> None:
    report = made(decision)
    write_report(report, runner.workspace / "reports" / "phase0")
    ended = runner.workflow(page(".github/workflows/train.yml"))
    assert ended == {"gate": code == 0, "train": True if code == 0 else None}
    trained = runner.workspace / "trained"
    assert trained.exists() == (code == 0)
    gate = runner.step("asr gate")
    assert gate.code == code, gate.err
    first, *rest = gate.out.splitlines()
    assert first.startswith("::notice " if code == 0 else "::error ")
    assert f"title=asr gate%3A {decision}::" in first
    assert rest[0].startswith("::error file=corpus/train.jsonl,line=2,title=A001 low-coverage::")
    assert rest[1].startswith("::warning file=corpus/train.jsonl,line=3,title=A005")
    assert f"asr gate: {decision}".replace("_", r"\_") in gate.summary
    assert (gate.outputs["decision"], gate.outputs["digest"]) == (decision, report.digest)
    run = validate(Path(gate.outputs["sarif"]))
    found = [r["ruleId"] for r in run["results"]]
    assert found == ["A001", "A005"] if code == 0 else ["verdict", "A001", "A005"]
    assert runner.step("Findings to code scanning").code == 0
    if code == 0:
        assert trained.read_text().startswith("train round2 --report reports/phase0 --verify-key ")


@pytest.mark.parametrize("change", ["missing", "altered"])
def test_a_report_that_is_refused_holds_training_and_says_why(change: str, runner: Runner) -> None:
    path = write_report(made("STOP"), runner.workspace / "reports" / "phase0")
    if change == "missing":
        shutil.rmtree(path)
    else:
        file = path / "alignment_report.json"
        file.write_text(file.read_text().replace('"STOP"', '"PROCEED"'))
    ended = runner.workflow(page(".github/workflows/train.yml"))
    assert ended == {"gate": False, "train": None}
    gate = runner.step("asr gate")
    assert gate.code == 30
    assert gate.out.startswith("::error title=asr gate::reports/phase0")
    assert len(gate.out.splitlines()) == 1
    assert "no verdict" in gate.summary
    assert gate.outputs["decision"] == "NO_VERDICT", "not what the file says"
    assert gate.outputs["digest"] == ""
    (result,) = validate(Path(gate.outputs["sarif"]))["results"]
    assert result["level"] == "error"
    assert not (runner.workspace / "trained").exists()


def test_caution_passes_where_it_is_accepted(runner: Runner) -> None:
    write_report(made("CAUTION"), runner.workspace / "reports" / "phase0")
    workflow = page(".github/workflows/train.yml")
    workflow["jobs"]["gate"]["steps"][1]["with"]["accept-caution"] = "true"
    assert runner.workflow(workflow) == {"gate": True, "train": True}
    assert runner.step("asr gate").out.startswith("::warning ")


@pytest.mark.parametrize(
    "inputs",
    [
        {"report": "$(touch pwned)`touch pwned`; touch pwned"},
        {"report": "--help"},
        {"report": "reports/phase0", "accept-caution": "true; touch pwned"},
        {"report": "reports/phase0", "data": "--help\n$(touch pwned)\n; touch pwned"},
        {"report": "reports/phase0", "data": '"; touch pwned; "'},
    ],
)
def test_no_input_is_run_or_taken_for_an_option(inputs: dict[str, str], runner: Runner) -> None:
    write_report(made("CAUTION"), runner.workspace / "reports" / "phase0")
    step = {"uses": "./tools/asr-gate", "with": inputs}
    assert not runner.job([step], {})
    assert runner.step("asr gate").code in (2, 10, 30)
    assert not list(runner.workspace.rglob("pwned"))


def test_no_script_holds_an_expression() -> None:
    """What `${{ … }}` puts into a script is run by it: scripts get inputs as variables."""
    workflows = [page(f".github/workflows/{name}.yml") for name in ("audit", "train")]
    steps = [s for w in workflows for job in w["jobs"].values() for s in job["steps"]]
    scripts = [s["run"] for s in [*steps, *ACTION["runs"]["steps"]] if "run" in s]
    assert len(scripts) == 6
    assert not any("${{" in script for script in scripts)


def test_commands_of_the_page_are_commands_of_ours() -> None:
    from asr_gate.cli.audit import command as audit
    from asr_gate.cli.gate import command as gate
    from asr_gate.cli.train import run as train

    known = {"audit": audit, "gate": gate, "train": train}
    said = re.findall(r"^ *(?:- run: |- |)asr (audit|gate|train) (.*)$", PAGE, re.MULTILINE)
    assert {name for name, _ in said} == set(known)
    for name, arguments in said:
        known[name].make_context(name, shlex.split(arguments))
    options = {o for parameter in gate.params for o in parameter.opts}
    (script,) = [s["run"] for s in ACTION["runs"]["steps"] if s.get("id") == "gate"]
    assert set(re.findall(r"--[a-z]+(?:-[a-z]+)*", script)) <= options


def test_the_page_tells_all_inputs_and_outputs_of_the_action() -> None:
    rows = re.findall(r"^\| `([a-z][a-z0-9-]*)` \|", PAGE, re.MULTILINE)
    assert rows == list(ACTION["inputs"])
    (outputs,) = re.findall(r"^Outputs are (.*?), a file", PAGE, re.MULTILINE | re.DOTALL)
    assert re.findall(r"`([a-z-]+)`", outputs) == list(ACTION["outputs"])


def test_gitlab_and_pre_commit(asr_core: str, runner: Runner) -> None:
    gitlab = page(".gitlab-ci.yml")
    *installs, script = gitlab["gate"]["script"]
    assert all(line.startswith("python -I -m pip install ") for line in installs)
    script = script.replace('--verify-key "$ASR_GATE_KEY" ', "")
    assert gitlab["train"]["needs"] == ["gate"]
    (hook,) = page(".pre-commit-config.yaml")["repos"][0]["hooks"]
    (known,) = HOOKS
    assert hook["id"] == known["id"]
    path = {"PATH": f"{Path(asr_core).parent}:/usr/bin:/bin", "CI": "true"}
    verdicts: dict[Decision, int] = {"PROCEED": 0, "STOP": 20}
    for decision, code in verdicts.items():
        write_report(made(decision), runner.workspace / "reports" / "phase0")
        for words in (script.split(), [*known["entry"].split(), *hook["args"]]):
            done = subprocess.run(
                words, cwd=runner.workspace, env=path, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == code, done.stderr
        content = (runner.workspace / gitlab["gate"]["artifacts"]["reports"]["junit"]).read_text()
        assert ('type="STOP"' in content) == (code == 20)


def test_the_gate_is_small_and_quick(asr_core: str, runner: Runner) -> None:
    """Peak memory and time of the gate with all its outputs, beside importing what it imports."""
    many = [finding(f"u{n}", origin=f"train.jsonl:{n + 1}") for n in range(2_000)]
    write_report(report_of(*many), runner.workspace / "reports" / "phase0")
    gate = [
        asr_core,
        "gate",
        "reports/phase0",
        "--sarif",
        "a.sarif",
        "--junit",
        "a.xml",
        "--github",
    ]
    python = str(Path(asr_core).parent / "python")
    bare = [python, "-c", "import click, pydantic, rich; pydantic.BaseModel"]
    # A process of its own: children of this one would count its memory as theirs.
    script = (
        "import resource, subprocess, sys, time\n"
        "best = 1e9\n"
        "for _ in range(int(sys.argv[1])):\n"
        "    start = time.perf_counter()\n"
        "    subprocess.run(sys.argv[2:], check=True, stdout=-3, stderr=-3)\n"
        "    best = min(best, time.perf_counter() - start)\n"
        "print(best, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )

    def measure(times: int, command: list[str]) -> tuple[float, float]:
        done = subprocess.run(
            [python, "-c", script, str(times), *command],
            cwd=runner.workspace,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        seconds, kibibytes = map(float, done.stdout.split())
        return seconds, kibibytes / 1024

    plain = measure(2, [asr_core, "gate"])
    full = measure(1, gate)
    imports = measure(2, bare)
    for name, (seconds, size) in {"gate": plain, "with files": full, "imports": imports}.items():
        print(f"{name}: {seconds:.2f} s, {size:.0f} MiB")
    assert plain[1] < 80
    assert full[1] < 80
    assert plain[0] < 5 * imports[0]


def outputs(workspace: Path) -> list[object]:
    return ["--sarif", workspace / "a.sarif", "--junit", workspace / "b" / "a.xml", "--github"]


def test_no_output_loads_numpy(tmp_path: Path) -> None:
    write_report(made("PROCEED"), tmp_path / "reports" / "phase0")
    done = asr_without(HEAVY, "gate", *outputs(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.sarif").is_file()
    assert (tmp_path / "b" / "a.xml").is_file()


def test_json_has_standard_output_for_itself(tmp_path: Path) -> None:
    report = report_of(finding(), decision="STOP", reasons=["domain ##[add-mask]x"])
    write_report(report, tmp_path / "reports" / "a")
    environment = {"GITHUB_OUTPUT": str(tmp_path / "o"), "GITHUB_STEP_SUMMARY": str(tmp_path / "s")}
    done = asr("gate", "--json", "--github", cwd=tmp_path, **environment)
    assert done.returncode == 20
    assert json.loads(done.stdout)["exit_code"] == 20
    assert "##[" not in done.stdout, "the runner would obey it"
    assert all(line.startswith("::") for line in done.stderr.splitlines())
    assert (tmp_path / "o").read_text().startswith("decision=STOP\n")


def test_outside_a_runner_what_has_no_place_is_told(tmp_path: Path) -> None:
    write_report(made("STOP"), tmp_path / "reports" / "a")
    empty = {"GITHUB_OUTPUT": "", "GITHUB_STEP_SUMMARY": ""}
    done = asr("gate", "--github", cwd=tmp_path, **empty)
    assert done.returncode == 20
    assert "GITHUB_STEP_SUMMARY, GITHUB_OUTPUT not set" in one_line(done)


def test_files_are_written_whatever_the_verdict(tmp_path: Path) -> None:
    write_report(made("STOP"), tmp_path / "reports" / "a")
    done = asr_here("gate", "--junit", "a.xml", "--sarif", "a.sarif", cwd=tmp_path)
    assert done.returncode == 20
    assert "STOP" in one_line(done)
    before = (tmp_path / "a.xml").read_bytes(), (tmp_path / "a.sarif").read_bytes()
    asr_here("gate", "--junit", "a.xml", "--sarif", "a.sarif", cwd=tmp_path)
    assert before == ((tmp_path / "a.xml").read_bytes(), (tmp_path / "a.sarif").read_bytes())
    none = asr_here("gate", "reports/b", "--junit", "a.xml", cwd=tmp_path)
    assert none.returncode == 30
    assert "no such report" in (tmp_path / "a.xml").read_text()
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--sarif", "reports"], "is no file"),
        (["--junit", ""], "is no file"),
        (["--junit", "/dev/null"], "is no file"),
        (["--sarif", "train.jsonl/x"], "cannot be written"),
        (["--sarif", "x" * 300], "cannot be written"),
        (["--sarif", "a", "--junit", "a"], "name two files"),
    ],
)
def test_a_name_that_cannot_be_written_is_one_line(
    options: list[str], says: str, tmp_path: Path
) -> None:
    (tmp_path / "train.jsonl").write_text("")
    for report in (made("PROCEED"), made("STOP")):
        write_report(report, tmp_path / "reports" / "a")
        done = asr_here("gate", *options, cwd=tmp_path)
        assert done.returncode == 2
        assert says in one_line(done)
    assert not Path("/dev/null").is_file()
