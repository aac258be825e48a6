/* One utterance: player, words at their times, what was heard instead, and the verdict. */

const VERDICTS = [
  ["right", "Right", "1", "the text is what is said"],
  ["wrong", "Wrong text", "2", "the text is not what is said; drop the row"],
  ["correct", "Correct the text", "3", "write what is said"],
  ["trim", "Trim", "4", "keep only the marked span of the audio"],
  ["bad_audio", "Bad audio", "5", "the recording is of no use; drop the row"],
  ["unsure", "Unsure", "6", "somebody else must listen"],
];
const LANES = { speech: "speech", flags: "flagged", unsaid: "not said", replaced: "something else is said", unsure: "low confidence", added: "not in the transcript", trim: "marked for a trim" };
const STATES = { unsaid: "not said", replaced: "something else is said", unsure: "low confidence" };
const SPEEDS = [1, 0.75, 0.5, 1.5, 2];

class Utterance {
  constructor(box, sounds, review, home) {
    Object.assign(this, { box, sounds, review, home, row: null, loop: null, trim: [null, null], blobs: new Map() });
    this.audio = make("audio", { preload: "metadata" });
    this.wave = make("div");
    // One player for all: many would hold many decoded recordings.
    this.player = WaveSurfer.create({
      container: this.wave, media: this.audio, height: 72, cspNonce: "asr", normalize: true,
      waveColor: colour("--soft"), progressColor: colour("--link"), cursorColor: colour("--ink"), barWidth: 2,
    });
    this.audio.addEventListener("timeupdate", () => {
      if (this.loop && this.audio.currentTime >= this.loop[1]) this.audio.currentTime = this.loop[0];
      this.clock.textContent = this.audio.currentTime.toFixed(1);
    });
    this.audio.addEventListener("error", () => this.say("The audio cannot be played here."));
    for (const event of ["play", "pause"]) this.audio.addEventListener(event, () => this.pressed());
    this.clock = make("span", {}, "0.0");
    this.status = make("p", { role: "status", class: "soft" });
  }

  say(text) {
    this.status.textContent = text;
  }

  show(row) {
    this.audio.pause();
    const given = row && this.review.of(row.id);
    Object.assign(this, { row, loop: null, trim: given?.verdict === "trim" ? [given.start, given.end] : [null, null] });
    this.clock.textContent = "0.0";
    this.box.replaceChildren();
    this.say("");
    if (row === null) {
      this.box.append("No utterance matches.");
      return;
    }
    this.box.append(make("h3", {}, make("bdi", {}, row.id), " ", row.blind ? null : make("span", { class: row.excluded ? "STOP" : "soft" }, row.excluded ? "excluded" : "not excluded")));
    if (!row.blind) this.box.append(this.findings(row));
    if (row.text !== undefined) this.box.append(this.transcript(row));
    if (row.duration) this.box.append(this.timeline(row), this.buttons(row));
    if (row.proposed) this.box.append(this.proposal(row));
    if (row.candidates && !row.blind) this.box.append(this.candidates(row));
    if (row.duration && !row.blind) this.box.append(this.heard(row));
    this.box.append(this.facts(row), make("div", { class: "deciding" }, this.verdict(row), this.status));
    this.load(row);
  }

  facts(row) {
    const facts = [
      ["where", row.origin], ["domain", row.domain], ["speaker", row.speaker], ["split", row.split],
      ["length", row.duration ? `${row.duration} s` : null], ["coverage", row.coverage], ["confidence", row.confidence], ["quality", row.quality],
      ["speech over noise", row.noise === null || row.noise === undefined ? null : `${row.noise.toFixed(0)} dB`],
      ["bandwidth", row.bandwidth ? `${(row.bandwidth / 1000).toFixed(1)} kHz` : null],
    ].filter(([, value]) => value !== null && value !== undefined);
    return make("p", { class: "soft facts" }, ...facts.flatMap(([name, value], index) => [index ? " · " : "", `${name} `, make("bdi", {}, String(value))]));
  }

  transcript(row) {
    const words = row.words.length
      ? row.words.flatMap(([text, start, , state]) => [
          make("button", {
            class: `word ${state}`, type: "button", tabindex: -1,
            title: state ? `${STATES[state]}, at ${start} s` : `at ${start} s`,
            onclick: () => this.seek(start),
          }, text), " "])
      : [row.text || make("span", { class: "soft" }, "(no text)")];
    const marked = row.words.filter((word) => word[3]);
    return make("div", {},
      make("h3", {}, "Transcript"),
      make("p", { class: "transcript", dir: "auto", lang: row.language }, ...words),
      marked.length ? make("p", { class: "soft" }, ...marked.flatMap(([text, start, , state], index) => [
        index ? "; " : "", make("bdi", {}, text), ` (${STATES[state]}, ${start} s)`])) : null);
  }

  heard(row) {
    return make("div", {}, make("h3", {}, "What the aligner heard"),
      make("p", { dir: "auto", lang: row.language }, row.heard.map((word) => word[0]).join(" ") || "nothing"));
  }

  /* The text that the audit proposes, with what goes and what comes. */
  proposal(row) {
    const tags = { "": "span", goes: "del", comes: "ins" };
    const sure = row.proposed_confidence < 0.01 ? "below 0.01" : row.proposed_confidence.toFixed(2);
    return make("div", {},
      make("h3", {}, "Proposed text ", make("span", { class: "soft" }, `confidence ${sure}`)),
      make("p", { class: "proposed", dir: "auto", lang: row.language }, ...row.changes.flatMap(([kind, words]) => [make(tags[kind], {}, words), " "])),
      make("button", { type: "button", "aria-keyshortcuts": "p", onclick: () => this.takeProposal() }, "p Correct with it"));
  }

  /* Texts of other rows that it may say, to correct it with. */
  candidates(row) {
    return make("div", {}, make("h3", {}, row.candidates.length > 1 ? "It may say one of these texts" : "It says the text of another row"),
      make("ul", {}, ...row.candidates.map(([id, text]) => make("li", {}, make("bdi", {}, id),
        text ? make("p", { class: "proposed", dir: "auto", lang: row.language }, text) : null,
        text ? make("button", { type: "button", onclick: () => this.edit(text) }, "Correct with it") : null))));
  }

  timeline(row) {
    const lane = (name, said, spans) => make("div", { class: `lane ${name}`, role: "img", "aria-label": said },
      ...spans.map(([start, end, text, state]) => {
        const span = make("span", { class: state ?? "", dir: "auto", title: text }, text ?? "");
        span.style.left = `${(100 * start) / row.duration}%`;
        span.style.width = `${(100 * Math.max(end - start, 0.01)) / row.duration}%`;
        return span;
      }));
    this.trimLane = lane("trim", "marked span", []);
    const flagged = this.flagged(row);
    const words = row.words.map(([text, start, end, state]) => [start, end, text, state]);
    const heard = row.heard.map(([text, start, end]) => [start, end, text, this.unwritten(row, start, end) ? "added" : ""]);
    const used = new Set([...words, ...heard].map((span) => span[3]).concat("speech", flagged.length ? "flags" : ""));
    const timeline = make("div", { class: "timeline" },
      this.wave,
      lane("speech", "speech activity", row.activity),
      flagged.length ? lane("flags", "flagged spans", flagged) : null,
      words.length ? lane("words", "words of the transcript at their times", words) : null,
      heard.length ? lane("heard", "what the aligner heard, at its times", heard) : null,
      this.trimLane,
      make("p", { class: "soft legend" }, make("span", {}, this.clock, ` of ${row.duration} s`),
        ...Object.entries(LANES).map(([name, said]) => make("span", { hidden: !used.has(name) }, make("i", { class: name }), said))));
    this.drawTrim();
    return timeline;
  }

  trimmed() {
    return this.trim.some((edge) => edge !== null);
  }

  drawTrim() {
    if (!this.trimmed()) return;
    const [from, to] = [this.trim[0] ?? 0, this.trim[1] ?? this.row.duration];
    const span = make("span");
    span.style.left = `${(100 * from) / this.row.duration}%`;
    span.style.width = `${(100 * Math.max(0, to - from)) / this.row.duration}%`;
    this.trimLane.replaceChildren(span);
    this.trimLane.parentElement.querySelector("i.trim").parentElement.hidden = false;
  }

  unwritten(row, start, end) {
    return [...row.unaligned, ...row.gaps].some(([from, to]) => start < to && end > from);
  }

  flagged(row) {
    const found = row.findings.filter((finding) => finding[3] !== null && finding[4] !== null).map((finding) => [finding[3], finding[4]]);
    if (found.length || !row.words) return found; // of a row that was not in the sample no words are known
    return [...row.unaligned, ...row.words.filter((word) => word[3]).map((word) => [word[1], word[2]])];
  }

  buttons(row) {
    const button = (text, key, act, pressed) => make("button", { type: "button", onclick: act, "aria-keyshortcuts": key, "aria-pressed": pressed }, text);
    this.play = button("Play", "Space", () => this.toggle());
    this.looping = button("Loop it", "l", () => this.toggleLoop(), "false");
    this.speed = button("Speed 1", "s", () => this.nextSpeed());
    this.audio.playbackRate = 1;
    return make("div", { class: "buttons" }, this.play,
      row.blind ? null : button("To the flagged span", "f", () => this.jump()), this.looping, this.speed,
      button("Trim from here", "[", () => this.mark(0)), button("Trim to here", "]", () => this.mark(1)));
  }

  findings(row) {
    return make("div", {}, row.people ? make("p", {}, make("strong", {}, row.people)) : null,
      make("ul", {}, ...row.findings.map(([code, severity, message, start]) => make("li", {},
        make("b", {}, `${code} ${DATA.rules[code].name}`), ` (${severity}): `, make("bdi", {}, message), start === null ? "" : ` at ${start.toFixed(2)} s`))));
  }

  verdict(row) {
    const given = this.review.of(row.id);
    const box = make("section", { class: given ? "verdict" : "", "aria-label": "Your verdict" });
    box.append(make("div", { class: "buttons", role: "group", "aria-label": "Verdict" },
      ...VERDICTS.map(([name, title, key, what]) => make("button", {
        type: "button", title: `${what} (${key})`, "aria-keyshortcuts": key,
        "aria-pressed": String(given?.verdict === name), onclick: () => this.decide(name),
      }, `${key} ${title}`)),
      make("button", { type: "button", "aria-keyshortcuts": "u", onclick: () => this.undo() }, "u Undo")));
    if (given) {
      const parts = [given.text === null ? null : `“${given.text}”`, given.start === null ? null : `${given.start}–${given.end} s`, given.note || null, given.who || null];
      box.append(make("p", {}, make("b", {}, `${given.verdict.replace("_", " ")} `), make("bdi", {}, parts.filter(Boolean).join(" · "))));
    }
    for (const one of row.blind ? [] : this.review.others(row.id)) {
      box.append(make("p", { class: "soft" }, make("bdi", {}, one.who || "somebody"), `: ${one.verdict.replace("_", " ")} `,
        one.start === null ? "" : `${one.start}–${one.end} s `, make("bdi", {}, [one.text, one.note].filter(Boolean).join(" · "))));
    }
    if (!row.blind && this.review.conflict(row.id)) {
      box.append(make("p", { class: "STOP" }, "Conflict: people want different things done. The row counts as unsure until one of you changes the verdict."));
    }
    this.note = make("input", {
      id: "note", dir: "auto", "aria-keyshortcuts": "m", value: given?.note ?? "",
      onchange: () => given && this.give(given.verdict, given.text, given.start, given.end),
    });
    box.append(make("label", {}, "Note ", this.note));
    this.verdictBox = box;
    return box;
  }

  redraw() {
    const before = this.verdictBox;
    const at = [...before.querySelectorAll("button")].indexOf(document.activeElement);
    const within = before.contains(document.activeElement);
    before.replaceWith(this.verdict(this.row));
    // Who goes on by keyboard goes on from the same button, or from the list.
    if (within) (this.verdictBox.querySelectorAll("button")[at] ?? this.home).focus({ preventScroll: true });
  }

  async load(row) {
    const sound = this.sounds[row.id];
    this.wave.hidden = !sound;
    if (!sound) {
      this.audio.removeAttribute("src");
      if (row.text !== undefined) this.say("There is no audio of this row in this report.");
      return;
    }
    // What asr review serves has no peaks: the player finds them in the audio.
    const peaks = sound.peaks && [Float32Array.from(atob(sound.peaks), (char) => char.charCodeAt(0) / 255)];
    await this.player.load(this.address(row.id, sound), ...(peaks ? [peaks, row.duration] : []))
      // Of a row that was left before its audio came nothing is to be said.
      .catch((error) => error?.name === "AbortError" || this.say("The audio cannot be read."));
  }

  address(id, sound) {
    if (sound.file) return sound.file;
    if (!this.blobs.has(id)) {
      const bytes = Uint8Array.from(atob(sound.inline), (char) => char.charCodeAt(0));
      this.blobs.set(id, URL.createObjectURL(new Blob([bytes], { type: "audio/ogg" })));
    }
    return this.blobs.get(id);
  }

  pressed() {
    if (this.play) this.play.textContent = this.audio.paused ? "Play" : "Pause";
  }

  toggle() {
    if (!this.audio.src) return;
    if (this.audio.paused) this.audio.play().catch(() => this.say("The audio cannot be played here."));
    else this.audio.pause();
  }

  seek(seconds) {
    if (this.audio.src) this.audio.currentTime = Math.min(Math.max(0, seconds), this.row.duration);
  }

  jump() {
    const spans = this.flagged(this.row);
    if (!spans.length) return this.say("No span is flagged: the finding is about all of it.");
    const next = spans.find(([start]) => start > this.audio.currentTime + 0.05) ?? spans[0];
    return this.seek(Math.max(0, next[0] - 0.3));
  }

  toggleLoop() {
    const spans = this.flagged(this.row);
    const end = this.row.duration;
    if (!end) return;
    if (this.loop) this.loop = null;
    else if (this.trimmed()) this.loop = [this.trim[0] ?? 0, this.trim[1] ?? end];
    else if (spans.length) {
      const span = spans.find((one) => one[1] > this.audio.currentTime) ?? spans[0];
      this.loop = [Math.max(0, span[0] - 0.3), Math.min(end, span[1] + 0.3)];
    } else this.say("No span is flagged or marked.");
    if (this.loop) {
      this.seek(this.loop[0]);
      if (this.audio.paused) this.toggle();
    }
    this.looping.setAttribute("aria-pressed", String(this.loop !== null));
  }

  nextSpeed() {
    if (!this.row.duration) return;
    const speed = SPEEDS[(SPEEDS.indexOf(this.audio.playbackRate) + 1) % SPEEDS.length];
    this.audio.playbackRate = speed;
    this.speed.textContent = `Speed ${speed}`;
  }

  mark(end) {
    if (!this.row.duration) return this.say("There is no audio of this row in this report.");
    this.trim[end] = Math.round(100 * this.audio.currentTime) / 100;
    this.drawTrim();
    return this.say(`Marked ${this.trim[0] ?? 0} to ${this.trim[1] ?? this.row.duration} s; l plays it, 4 trims to it.`);
  }

  decide(verdict) {
    if (verdict === "correct") return this.edit(this.review.of(this.row.id)?.text ?? this.row.text ?? "");
    let [start, end] = [null, null];
    if (verdict === "trim") {
      [start, end] = [this.trim[0] ?? 0, this.trim[1] ?? this.row.duration];
      if (!this.trimmed() || end <= start) {
        return this.say("Mark the span first: play, then [ where it begins and ] where it ends.");
      }
    }
    return this.give(verdict, null, start, end);
  }

  takeProposal() {
    if (!this.row.proposed) return this.say("No text is proposed for this row; 3 corrects the one that it has.");
    return this.edit(this.row.proposed);
  }

  edit(text) {
    if (this.verdictBox.querySelector("textarea")) this.redraw();
    const field = make("textarea", { dir: "auto", "aria-label": "What is said", lang: this.row.language });
    field.value = text;
    const save = () => {
      const written = field.value.trim();
      if (!written) return this.say("The text is empty: use 2 or 5 to drop the row.");
      return this.give("correct", written, null, null);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        save();
      } else if (event.key === "Escape") this.redraw();
    });
    this.verdictBox.append(make("div", {}, field, make("div", { class: "buttons" },
      make("button", { type: "button", onclick: save }, "Save (Enter)"),
      make("button", { type: "button", onclick: () => this.redraw() }, "Cancel (Esc)"))));
    field.focus();
    field.select();
  }

  give(verdict, text, start, end) {
    const keeping = this.review.give({ id: this.row.id, verdict, text, start, end, note: this.note.value.trim() });
    return this.kept(keeping, `${verdict.replace("_", " ")}: kept.`);
  }

  undo() {
    const keeping = this.review.undo(this.row.id);
    return keeping ? this.kept(keeping, "Undone.") : this.say("There is nothing to undo.");
  }

  /* Show what was decided, and say that it is kept when it is. */
  async kept(keeping, done) {
    const row = this.row;
    this.redraw();
    const problem = await keeping;
    if (this.row !== row) return problem && this.say(`${row.id}: ${problem}`);
    if (problem) this.redraw();
    return this.say(problem || done);
  }
}
