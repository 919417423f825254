/* Answers on their way: each stays in this browser until the server says that it is on disk, also over a reload. */

const LONGEST_WAIT = 10_000;

export class Saving {
  /* prefix: of the entries in localStorage, one a rater; changed: called whenever there is something new to show. */
  constructor(prefix, session, changed) {
    this.prefix = prefix;
    this.session = session;
    this.changed = changed;
    this.fault = "";
    this.taken = false;
    this.waiting = new Map(readEntries(prefix));
    this.number = 0;
    this.sending = false;
    this.pause = null;
    addEventListener("online", () => this.hurry());
    this.send();
  }

  add(answer) {
    const entry = `${this.prefix}${String(Date.now()).padStart(15, "0")}-${String(this.number++).padStart(6, "0")}`;
    const kept = { ...answer, key: randomKey() };
    this.waiting.set(entry, kept);
    write(entry, kept);
    this.changed();
    this.send();
  }

  /* After the rater has gone on here: what was waiting is sent in the new session. */
  resume(session) {
    this.session = session;
    this.taken = false;
    this.hurry();
  }

  hurry() {
    if (this.pause) this.pause();
    this.send();
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    let wait = 500;
    while (this.waiting.size && !this.taken) {
      const [entry, answer] = this.waiting.entries().next().value;
      this.fault = await post("api/answers", { ...answer, session: this.session });
      if (this.fault === "") {
        this.waiting.delete(entry);
        forget(entry);
        wait = 500;
      } else if (this.fault === "taken") {
        this.taken = true;
      }
      this.changed();
      if (this.fault && !this.taken) {
        await new Promise((resolve) => { this.pause = resolve; setTimeout(resolve, wait); });
        wait = Math.min(wait * 2, LONGEST_WAIT);
      }
    }
    this.sending = false;
  }
}

/* Empty when the server has kept it; else why not, in words. */
async function post(route, body) {
  try {
    const response = await fetch(route, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (response.ok) return (await response.json()).saved === body.key ? "" : "the server did not confirm";
    if (response.status === 409) return "taken";
    return reason(await response.text(), response.status);
  } catch {
    return "the server does not answer";
  }
}

export function reason(text, status) {
  try {
    const detail = JSON.parse(text).detail;
    return typeof detail === "string" ? detail : `refused (${status})`;
  } catch {
    return text.slice(0, 200) || `refused (${status})`;
  }
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/* Without localStorage (a private window) answers wait in memory alone. */
function write(entry, answer) {
  try { localStorage.setItem(entry, JSON.stringify(answer)); } catch { /* as above */ }
}

function forget(entry) {
  try { localStorage.removeItem(entry); } catch { /* as above */ }
}

function readEntries(prefix) {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(prefix)).sort();
    return names.map((name) => [name, JSON.parse(localStorage.getItem(name))]);
  } catch {
    return [];
  }
}
