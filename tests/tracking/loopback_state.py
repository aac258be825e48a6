"""What the loopback server stores, and its answer to each GraphQL operation of the client (0.31).

An answer may hold more than was asked for, such as all of a run: the client takes what it needs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

ENTITY = "team"
ORGANISATION = "org"
Json = dict[str, Any]
_NOW = "2026-01-02T03:04:05"
_OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")
# Without these the client takes older ways.
_FEATURES = (
    "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "CLIENT_IDS",
    "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "USE_ARTIFACT_WITH_ENTITY_AND_PROJECT_INFORMATION",
)


class Refused(Exception):
    """A refusal, in the server's own words."""


@dataclass
class Membership:
    """An artifact in a collection, as the version `NAME:v{index}`."""

    artifact: Json
    index: int
    aliases: list[str] = field(default_factory=list)


@dataclass
class Collection:
    """A sequence of versions that were logged, or a portfolio of ones that were linked."""

    kind: str  # "ArtifactSequence" | "ArtifactPortfolio"
    entity: str
    project: str
    name: str
    type: str
    members: list[Membership] = field(default_factory=list)
    count: int = 0
    """How many versions there ever were: the number of a deleted one is not used again."""

    def add(self, artifact: Json, aliases: Iterable[str]) -> Membership:
        """Add the artifact if it is not in the collection, and give it these aliases, too."""
        member = next((m for m in self.members if m.artifact is artifact), None)
        if member is None:
            member = Membership(artifact, self.count)
            self.members.append(member)
            self.count += 1
        self.move(aliases, member)
        return member

    def move(self, aliases: Iterable[str], member: Membership) -> None:
        """Give a version aliases, and take them from the version that had them."""
        for alias in aliases:
            for other in self.members:
                other.aliases = [name for name in other.aliases if name != alias]
            member.aliases.append(alias)

    def find(self, alias: str) -> Membership | None:
        """A version by alias or number."""
        return next((m for m in self.members if alias in (f"v{m.index}", *m.aliases)), None)


class State:
    """The state, and `answer`, which reads and changes it."""

    url: str

    def __init__(self) -> None:
        self.operations: list[tuple[str, Json]] = []
        """Names and variables of what was asked, in order."""
        self.unknown: list[str] = []
        """Names of the operations that this server does not know."""
        self.runs: dict[str, Json] = {}
        """By id: what the client gave (displayName, groupName, jobType, tags, …), and `state`,
        `exitcode`, `streams` (lines by file) and `used` (ids of artifacts)."""
        self.artifacts: list[Json] = []
        """What was committed, oldest first: the input of CreateArtifact, `id` and `state`."""
        self.alerts: list[Json] = []
        """With runName, title, text and severity, as often as they were sent."""
        self.collections: dict[tuple[str, str, str], Collection] = {}
        """By entity, project and name."""
        self.sweeps: dict[str, Json] = {}
        """By id: what the client gave; `config` is YAML."""
        self.trials: list[Json] = []
        """Values of the trials that agents are still to start, whichever sweep they ask for."""
        self.files: dict[str, bytes] = {}
        """By storage path: `artifacts/{md5}`, `manifests/{artifact id}`, `runs/{run id}/{name}`."""
        self._all_artifacts: dict[str, Json] = {}
        self._lock = threading.RLock()

    # What a test looks at

    def asked(self, operation: str) -> list[Json]:
        """The variables of each request of an operation."""
        return [variables for name, variables in self.operations if name == operation]

    def history(self, run_id: str) -> list[Json]:
        """A run's rows as they came: those of a run that was sent twice are there twice."""
        return [json.loads(line) for line in self._lines(run_id, "wandb-history.jsonl")]

    def config(self, run_id: str) -> Json:
        """A run's config, without the client's own part."""
        config = json.loads(self.runs[run_id]["config"])
        return {name: item["value"] for name, item in config.items() if name != "_wandb"}

    def contents(self, artifact: Json) -> dict[str, bytes]:
        """An artifact's files by their path in it."""
        return {name: self.files[path] for name, path, _ in self._entries(artifact)}

    def versions(self, name: str, project: str, entity: str = ENTITY) -> dict[str, list[str]]:
        """The sorted aliases by version (`v0`) of a collection, oldest first."""
        members = self.collections[entity, project, name].members
        return {f"v{member.index}": sorted(member.aliases) for member in members}

    # What the client sends

    def store(self, path: str, content: bytes) -> None:
        """Take an upload. Raises Refused on a file of an artifact that is not what was said."""
        digest = path.removeprefix("artifacts/")
        if digest != path and hashlib.md5(content).hexdigest() != digest:
            raise Refused(f"{path} has another checksum")
        with self._lock:
            self.files[path] = content

    def stream(self, run_id: str, chunk: Json) -> None:
        """Take a part of a run's rows, summary and console lines, each for its place."""
        with self._lock:
            run = _known(self.runs, run_id)
            for name, part in (chunk.get("files") or {}).items():
                lines = run["streams"].setdefault(name, [])
                lines[part["offset"] : part["offset"] + len(part["content"])] = part["content"]
            if chunk.get("complete"):
                run["exitcode"] = chunk["exitcode"]
                run["state"] = "failed" if chunk["exitcode"] else "finished"

    def answer(self, query: str, variables: Json) -> Json | None:
        """The `data` of a GraphQL request; None for what is not known. Raises Refused."""
        # The name as the query has it, maybe after its fragments: not every request says it apart.
        named = _OPERATION.search(query)
        operation = named[1] if named is not None else query
        read_run = "Run RunHistoryKeys RunParquetHistory HistoryPage RunInputArtifacts"
        read_run += " RunOutputArtifacts"
        read_artifact = "ArtifactByID ArtifactCreatedBy ArtifactUsedBy FetchArtifactManifest"
        read_project = "ArtifactMembershipByName ArtifactMembershipFiles ArtifactType"
        read_project += " GetArtifactMembershipFileUrls ProjectArtifacts"
        answers: dict[str, Callable[[Json], Json | None]] = {
            "Viewer": self._viewer,
            "GetDefaultEntity": self._viewer,
            "ServerFeaturesQuery": self._features,
            "FetchOrgInfoFromEntity": self._organisation,
            "OrganizationCoreWeaveOrganizationID": lambda _: {"entity": None},
            "UpsertBucket": self._upsert_run,
            "RunResumeStatus": self._resume_status,
            "CreateRunFiles": self._create_run_files,
            "NotifyScriptableRunAlert": self._alert,
            "UpsertSweep": self._upsert_sweep,
            "SweepWithRuns": self._read_sweep,
            "CreateAgent": lambda _: {"createAgent": {"agent": {"id": "agent"}}},
            "Heartbeat": self._heartbeat,
            **dict.fromkeys(read_run.split(), self._read_run),
            "CreateArtifact": self._create_artifact,
            "CreateArtifactManifest": self._create_manifest,
            "CreateArtifactFiles": self._create_files,
            "CommitArtifact": self._commit,
            "UseArtifact": self._use,
            "DeleteArtifact": self._delete_artifact,
            "LinkArtifact": self._link,
            "AddAliases": self._change_aliases,
            "DeleteAliases": self._change_aliases,
            "UpdateArtifact": self._update_artifact,
            **dict.fromkeys(read_artifact.split(), self._read_artifact),
            **dict.fromkeys(read_project.split(), self._read_project),
        }
        with self._lock:
            self.operations.append((operation, variables))
            if operation not in answers:
                self.unknown.append(operation)
                return None
            return answers[operation](variables)

    def _viewer(self, _: Json) -> Json:
        viewer = {"id": "user", "entity": ENTITY, "username": "tester", "email": ""}
        return {"viewer": viewer | {"flags": "{}", "teams": {"edges": []}}}

    def _features(self, _: Json) -> Json:
        features = [{"name": name, "isEnabled": True} for name in _FEATURES]
        return {"serverInfo": {"features": features}}

    def _organisation(self, _: Json) -> Json:
        organisation = {"name": ORGANISATION, "orgEntity": {"name": ORGANISATION}}
        return {"entity": {"organization": organisation, "user": None}}

    # Runs

    def _upsert_run(self, variables: Json) -> Json:
        given = {name: value for name, value in variables.items() if value is not None}
        if "display_name" in given:  # so where `wandb.Api()` changes a run
            given["displayName"] = given.pop("display_name")
        run_id = given.get("name") or given["id"].removeprefix("run-")
        is_new = run_id not in self.runs
        run = self.runs.setdefault(run_id, {"streams": {}, "used": [], "exitcode": None})
        # Who starts or resumes a run names its host; who only changes it does not.
        state = {"state": "running"} if is_new or "host" in given else {}
        run.update({"config": "{}", "entity": ENTITY} | run | state | given | {"name": run_id})
        run["entity"] = run["entity"] or ENTITY
        if "summaryMetrics" in given:
            run["streams"]["wandb-summary.json"] = [given["summaryMetrics"]]
        return {"upsertBucket": {"bucket": self._run(run), "inserted": is_new}}

    def _resume_status(self, variables: Json) -> Json:
        run_id = variables["name"]
        bucket: Json | None = None
        if run_id in self.runs:
            lines = {k: self._lines(run_id, f"wandb-{k}.jsonl") for k in ("history", "events")}
            bucket = self._run(self.runs[run_id]) | {
                # JSON in JSON: a list of rows, each of them a string.
                **{f"{name}Tail": json.dumps(rows[-1:]) for name, rows in lines.items()},
                **{f"{name}LineCount": len(rows) for name, rows in lines.items()},
                "logLineCount": len(self._lines(run_id, "output.log")),
                "wandbConfig": json.dumps({"t": 1}),
            }
        return {"model": _project(variables) | {"bucket": bucket}}

    def _create_run_files(self, variables: Json) -> Json:
        run_id = variables["run"]
        urls = {name: self._storage_url(f"runs/{run_id}/{name}") for name in variables["files"]}
        files = [{"name": name, "uploadUrl": url} for name, url in urls.items()]
        return {"createRunFiles": {"runID": run_id, "uploadHeaders": [], "files": files}}

    def _alert(self, variables: Json) -> Json:
        self.alerts.append(variables)
        return {"notifyScriptableRunAlert": {"success": True}}

    # Sweeps

    def _upsert_sweep(self, variables: Json) -> Json:
        name = f"sweep{len(self.sweeps)}"
        self.sweeps[name] = variables
        project = {"id": "project", "name": variables["projectName"]}
        project["entity"] = {"id": "entity", "name": variables["entityName"] or ENTITY}
        sweep = {"name": name, "project": project}
        return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}

    def _read_sweep(self, variables: Json) -> Json:
        name = variables["sweep"]
        config = _known(self.sweeps, name)["config"]
        sweep = {"id": name, "name": name, "config": config, "runs": {"edges": []}}
        return {"project": {"sweep": sweep}}

    def _heartbeat(self, _: Json) -> Json:
        commands: list[Json] = []
        if self.trials:
            args = {key: {"value": value} for key, value in self.trials.pop(0).items()}
            run_id = f"trial{len(self.trials)}"
            commands = [{"type": "run", "run_id": run_id, "program": "p", "args": args}]
        agent = {"id": "agent"}
        return {"agentHeartbeat": {"agent": agent, "commands": json.dumps(commands)}}

    def _read_run(self, variables: Json) -> Json:
        """A run with all that is read of it."""
        project = _project(variables)
        run_id = str(variables.get("name") or variables.get("run") or variables.get("runName"))
        run = self.runs.get(run_id)
        if run is None or not _is_in(run, project):
            return {"project": project | {"run": None}}
        rows = self.history(run_id)
        low, high = variables.get("minStep", 0), variables.get("maxStep", float("inf"))
        # RunInputArtifacts and RunOutputArtifacts call both `artifacts` in the answer.
        used = self.operations[-1][0] == "RunInputArtifacts"
        artifacts = [
            self._artifact(item)
            for item in self.artifacts
            if item["state"] == "COMMITTED"
            and (item["id"] in run["used"] if used else item["runName"] == run_id)
        ]
        read = {
            "history": [json.dumps(row) for row in rows if low <= row["_step"] < high],
            "parquetHistory": {"parquetUrls": [], "liveData": rows},
            "artifacts": _page(artifacts),
        }
        return {"project": project | {"run": self._run(run) | read}}

    def _run(self, run: Json) -> Json:
        rows = self.history(run["name"])
        same = ("name", "displayName", "state", "config", "jobType", "notes", "commit")
        return {name: run.get(name) for name in same} | {
            "__typename": "Run",
            "id": f"run-{run['name']}",
            "group": run.get("groupName"),
            "tags": run.get("tags") or [],
            "description": "",
            "sweepName": None,
            "readOnly": False,
            "createdAt": _NOW,
            "heartbeatAt": _NOW,
            "systemMetrics": "{}",
            "summaryMetrics": self._summary(run["name"]),
            "historyLineCount": len(rows),
            "historyKeys": {"lastStep": rows[-1]["_step"] if rows else -1, "keys": {}},
            "user": {"name": "tester", "username": "tester"},
            "projectId": "1",
            "project": _project(run),
        }

    def _lines(self, run_id: str, name: str) -> list[str]:
        return list(self.runs[run_id]["streams"].get(name, []))

    def _summary(self, run_id: str) -> str:
        return (self._lines(run_id, "wandb-summary.json") or ["{}"])[-1]

    # Artifacts written

    def _create_artifact(self, variables: Json) -> Json | None:
        given = dict(variables["input"])
        name = given["artifactCollectionName"]
        aliases = [item["alias"] for item in given.pop("aliases") or []]
        collection = self._collection("ArtifactSequence", given, name, given["artifactTypeName"])
        latest = collection.members[-1].artifact if collection.members else None
        same = [m for m in collection.members if m.artifact["digest"] == given["digest"]]
        if same and given["enableDigestDeduplication"]:
            artifact = same[-1].artifact
            collection.move(aliases, same[-1])
        else:
            artifact = given | {"id": f"artifact-{len(self._all_artifacts)}", "state": "PENDING"}
            artifact |= {"collection": collection, "aliases_at_commit": aliases}
            self._all_artifacts[artifact["id"]] = artifact
        sequence = {"id": name, "latestArtifact": latest and self._artifact(latest)}
        created = self._artifact(artifact) | {"artifactSequence": sequence}
        return {"createArtifact": {"artifact": created}}

    def _create_manifest(self, variables: Json) -> Json:
        artifact_id = variables["artifactID"]
        url = self._storage_url(f"manifests/{artifact_id}")
        file = {"id": artifact_id, "uploadUrl": url, "uploadHeaders": []}
        manifest = {"id": artifact_id, "file": file}
        return {"createArtifactManifest": {"artifactManifest": manifest}}

    def _create_files(self, variables: Json) -> Json:
        nodes = []
        for file in variables["input"]["artifactFiles"]:
            path = _blob(file["md5"])
            # No address: the server has these bytes already.
            url = None if path in self.files else self._storage_url(path)
            node: Json = {"storagePath": path, "uploadUrl": url, "uploadHeaders": []}
            nodes.append(node | {"artifact": {"id": file["artifactID"]}})
        return {"createArtifactFiles": {"files": _page(nodes)}}

    def _commit(self, variables: Json) -> Json:
        artifact = _known(self._all_artifacts, variables["artifactID"])
        if missing := [n for n, path, _ in self._entries(artifact) if path not in self.files]:
            raise Refused(f"these files are missing: {missing}")
        artifact["state"] = "COMMITTED"
        self.artifacts.append(artifact)
        artifact["collection"].add(artifact, artifact["aliases_at_commit"])
        return {"commitArtifact": {"artifact": self._artifact(artifact)}}

    def _use(self, variables: Json) -> Json:
        given = variables.get("input", variables)  # so where the uploader asks
        artifact = _known(self._all_artifacts, given["artifactID"])
        used = _known(self.runs, given["runName"])["used"]
        used.extend([] if artifact["id"] in used else [artifact["id"]])
        return {"useArtifact": {"artifact": self._artifact(artifact)}}

    def _delete_artifact(self, variables: Json) -> Json:
        given = variables["input"]
        artifact = _known(self._all_artifacts, given["artifactID"])
        memberships = self._memberships(artifact)
        if any(member.aliases for _, member in memberships) and not given["deleteAliases"]:
            raise Refused("the artifact has aliases")
        for collection, member in memberships:
            collection.members.remove(member)
        artifact["state"] = "DELETED"
        return {"result": {"artifact": {"id": artifact["id"]}}}

    def _link(self, variables: Json) -> Json:
        given = variables["input"]
        artifact = _known(self._all_artifacts, given["artifactID"])
        name, kind = given["artifactPortfolioName"], artifact["artifactTypeName"]
        collection = self._collection("ArtifactPortfolio", given, name, kind)
        member = collection.add(artifact, ["latest", *(item["alias"] for item in given["aliases"])])
        membership = self._member(collection, member)
        return {"result": {"versionIndex": member.index, "artifactMembership": membership}}

    def _change_aliases(self, variables: Json) -> Json:
        """Add or delete aliases; which of both is the name of the last operation."""
        given = variables["input"]
        artifact = _known(self._all_artifacts, given["artifactID"])
        adds = self.operations[-1][0] == "AddAliases"
        for item in given["aliases"]:
            where = (item["entityName"], item["projectName"], item["artifactCollectionName"])
            collection, alias = self.collections[where], item["alias"]
            (member,) = [one for one in collection.members if one.artifact is artifact]
            if adds:
                collection.move([alias], member)
            else:
                member.aliases.remove(alias)
        return {"result": {"success": True}}

    def _update_artifact(self, variables: Json) -> Json:
        artifact = _known(self._all_artifacts, variables["input"]["artifactID"])
        artifact["metadata"] = variables["input"]["metadata"]
        return {"result": {"artifact": self._artifact(artifact)}}

    def _collection(self, kind: str, given: Json, name: str, of_type: str) -> Collection:
        key = (given["entityName"] or ENTITY, given["projectName"], name)
        collection = self.collections.setdefault(key, Collection(kind, *key, of_type))
        if collection.type != of_type:
            raise Refused(f"{name} is of type {collection.type}")
        return collection

    # Artifacts read

    def _read_artifact(self, variables: Json) -> Json:
        """An artifact with its manifest, its memberships, and the runs around it."""
        artifact_id = str(variables.get("id") or variables.get("artifactID"))
        artifact = _known(self._all_artifacts, artifact_id)
        run = self.runs.get(artifact["runName"])
        users = [run for run in self.runs.values() if artifact_id in run["used"]]
        read = {
            "createdBy": run and self._run(run),
            "usedBy": _page([self._run(run) for run in users]),
            "currentManifest": {"file": self._file("", f"manifests/{artifact_id}")},
            "artifactMemberships": _page([self._member(*p) for p in self._memberships(artifact)]),
        }
        return {"artifact": self._artifact(artifact) | read}

    def _read_project(self, variables: Json) -> Json:
        """A project with the types, the collection and the version that the variables name."""
        project = _project(variables)
        here = [item for item in self.collections.values() if _is_in(item, project)]
        types = {item.type: _type(item.type) for item in here}
        for name, of_type in types.items():
            same = [self._about(item) for item in here if item.type == name]
            of_type["artifactCollections"] = _page(same)
        name, _, alias = (variables.get("collection") or variables.get("name") or "").partition(":")
        about: Json | None = None
        membership: Json | None = None
        for collection in here:
            if collection.name == name:
                about = self._about(collection)
                types[collection.type]["artifactCollection"] = about
                member = collection.find(variables.get("alias") or alias or "latest")
                if member is not None:
                    entries = self._entries(member.artifact)
                    wanted = variables.get("fileNames") or [name for name, _, _ in entries]
                    files = [self._file(n, path) for n, path, _ in entries if n in wanted]
                    membership = self._member(collection, member) | {"files": _page(files)}
                about["artifactMembership"] = membership
        read = {
            "artifact": membership and membership["artifact"],
            "artifactCollectionMembership": membership,
            "artifactCollection": about,
            "artifactType": types.get(variables.get("type", "")),
            "artifactTypes": _page(list(types.values())),
        }
        return {"project": project | read}

    def _about(self, collection: Collection) -> Json:
        """A collection with its versions, the newest first."""
        members = collection.members[::-1]
        versions = _page([self._artifact(member.artifact) for member in members])
        for edge, member in zip(versions["edges"], members, strict=True):
            edge["version"] = f"v{member.index}"
        about = _name_of(collection) | {"id": collection.name, "type": {"name": collection.type}}
        about |= {"description": None, "createdAt": _NOW, "updatedAt": _NOW}
        return about | {"tags": _page([]), "artifacts": versions}

    def _memberships(self, artifact: Json) -> list[tuple[Collection, Membership]]:
        everywhere = [(item, m) for item in self.collections.values() for m in item.members]
        return [(item, m) for item, m in everywhere if m.artifact is artifact]

    def _artifact(self, artifact: Json) -> Json:
        memberships, entries = self._memberships(artifact), self._entries(artifact)
        sequence: Collection = artifact["collection"]
        return {name: artifact[name] for name in ("id", "state", "digest", "metadata")} | {
            "__typename": "Artifact",
            "artifactSequence": _name_of(sequence),
            "versionIndex": next((m.index for item, m in memberships if item is sequence), None),
            "artifactType": {"name": sequence.type},
            "description": artifact["description"],
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": artifact["historyStep"],
            "size": sum(size for _, _, size in entries),
            "fileCount": len(entries),
            "commitHash": "",
            "createdAt": _NOW,
            "updatedAt": _NOW,
            "aliases": [
                _alias(alias) | {"artifactCollection": _name_of(item)}
                for item, member in memberships
                for alias in member.aliases
            ],
        }

    def _member(self, collection: Collection, member: Membership) -> Json:
        return {
            "__typename": "ArtifactCollectionMembership",
            "id": f"{collection.name}-{member.index}",
            "versionIndex": member.index,
            "createdAt": _NOW,
            "aliases": [_alias(alias) for alias in member.aliases],
            "artifactCollection": _name_of(collection),
            "artifact": self._artifact(member.artifact),
        }

    def _entries(self, artifact: Json) -> list[tuple[str, str, int]]:
        """Name, storage path and bytes of each file, as the artifact's manifest has them."""
        manifest = json.loads(self.files.get(f"manifests/{artifact['id']}", '{"contents": {}}'))
        files = {name: e for name, e in manifest["contents"].items() if "ref" not in e}
        return [(name, _blob(e["digest"]), e["size"]) for name, e in files.items()]

    def _file(self, name: str, path: str) -> Json:
        url, content = self._storage_url(path), _known(self.files, path)
        file: Json = {"__typename": "File", "id": path, "name": name, "url": url, "directUrl": url}
        file |= {"sizeBytes": len(content), "md5": hashlib.md5(content).hexdigest()}
        return file | {"storagePath": path, "mimetype": None, "updatedAt": _NOW, "digest": None}

    def _storage_url(self, path: str) -> str:
        return f"{self.url}/storage/{quote(path)}"


def _known(things: dict[str, Any], name: str) -> Any:
    if name not in things:
        raise Refused(f"there is no {name}")
    return things[name]


def _project(given: Json) -> Json:
    """The project that variables or a run name."""
    entity = {"id": "entity", "name": given.get("entity") or ENTITY}
    project = {"id": "project", "internalId": "1", "name": given["project"], "readOnly": False}
    return project | {"entity": entity}


def _is_in(thing: Json | Collection, project: Json) -> bool:
    fields = thing if isinstance(thing, dict) else vars(thing)
    if "entityName" in project:
        wanted = (project["entityName"], project["projectName"])
    else:
        wanted = (project["entity"]["name"], project["name"])
    return (fields["entity"], fields["project"]) == wanted


def _name_of(collection: Collection) -> Json:
    project = _project(vars(collection))
    return {"__typename": collection.kind, "name": collection.name, "project": project}


def _type(name: str) -> Json:
    named: Json = {"__typename": "ArtifactType", "id": name, "name": name, "createdAt": _NOW}
    return named | {"description": None, "artifactCollection": None}


def _alias(alias: str) -> Json:
    return {"__typename": "ArtifactAlias", "id": alias, "alias": alias}


def _blob(digest: str) -> str:
    """Where a file of an artifact lies, by its MD5 in base64."""
    return f"artifacts/{base64.b64decode(digest).hex()}"


def _page(nodes: list[Json]) -> Json:
    """All of a list on one page."""
    return {
        "totalCount": len(nodes),
        "edges": [{"node": node, "cursor": str(index)} for index, node in enumerate(nodes)],
        "pageInfo": {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False},
    }
