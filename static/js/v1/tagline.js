// Tagline's browser snippet. How to use it: docs/snippet.md. It is served as it stands: no build step, nothing evaluated.
//
// A message is queued as an entry of its own in localStorage, with an id made once, and is taken out when the server has
// answered for it. So tabs need no agreement to queue, nothing is lost with a page, and what is sent twice counts once.
(() => {
  "use strict";
  const tagline = Array.isArray(window.tagline) || window.tagline?.version ? window.tagline : [];
  if (tagline.version) return;
  window.tagline = tagline;

  const MESSAGE_BYTES = 32 * 1024; // the most the server takes
  const REQUEST_BYTES = 60_000; // browsers let 64 KB outlive the page that sends them
  const LONGEST_WAIT = 60_000; // ms between two tries of our own accord
  const ANSWER_WITHIN = 30_000; // ms
  const SEEN_WITHIN = 100; // ms: what one tab takes out of localStorage the others see a moment later
  const script = document.currentScript;
  const early = []; // calls made before load()
  const memory = new Map(); // what is not in localStorage: it has no consent yet, or localStorage takes nothing
  const own = new Set(); // entries that this page queued
  const sending = new Set(); // entries that this page waits for an answer on
  const requests = new Set(); // AbortControllers
  let settings, consent, disk, timer, draining;
  let stopped = false;
  let count = 0;
  let failures = 0;

  const warn = (...told) => console.warn("Tagline:", ...told);
  const bytesOf = (text) => new TextEncoder().encode(text).length;
  const uuid = () =>
    crypto.randomUUID?.() ?? // absent where a page came by plain http
    "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) => (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16));

  // what is kept

  const stored = () => (consent === true ? disk : null);
  const get = (name) => memory.get(name) ?? stored()?.getItem(settings.name + name) ?? null;
  const set = (name, value) => {
    try {
      stored().setItem(settings.name + name, value);
      memory.delete(name);
    } catch {
      memory.set(name, value);
    }
  };
  const remove = (name) => {
    memory.delete(name);
    stored()?.removeItem(settings.name + name);
  };
  const entries = (from) => Object.keys(from ?? {}).filter((name) => name.startsWith(settings.name));
  const forget = () => {
    memory.clear();
    for (const name of entries(disk)) disk.removeItem(name);
  };

  const anonymousId = () => {
    if (!get("anonymous")) set("anonymous", uuid());
    return get("anonymous");
  };

  // Enough to notice another person's phone, too little to tell a phone from it.
  const fingerprint = (phone) => String([...phone.replace(/\D/g, "").slice(-8)].reduce((sum, digit) => (sum * 31 + +digit + 7) & 0xffff, 0));

  // the queue: names are q.<time>.<number>.<bytes>.<part of the id>, so that sorted they are in order

  const queued = () =>
    [...memory.keys(), ...entries(stored()).map((name) => name.slice(settings.name.length))].filter((name) => name.startsWith("q.")).sort();
  const sizeOf = (name) => +name.split(".")[3];

  const put = (type, fields) => {
    if (consent === false) return;
    const { href, pathname, search } = location;
    const context = {
      page: { url: href.split("#")[0], path: pathname, search, title: document.title, referrer: document.referrer },
      library: { name: "tagline.js", version: tagline.version },
      locale: navigator.language,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      userAgent: navigator.userAgent,
    };
    const message = { type, messageId: uuid(), anonymousId: anonymousId(), timestamp: new Date().toISOString(), ...fields, context };
    const text = JSON.stringify(message);
    const size = bytesOf(text);
    if (size > MESSAGE_BYTES) return warn(`a message of ${size} bytes was dropped; the most is ${MESSAGE_BYTES}.`);
    const name = ["q", Date.now().toString(36), String(count++).padStart(6, "0"), size, message.messageId.slice(0, 8)].join(".");
    set(name, text);
    own.add(name);
    const names = queued();
    let total = names.reduce((sum, one) => sum + sizeOf(one), 0);
    while (names.length > settings.queue.events || total > settings.queue.bytes) {
      warn("the queue is full; its oldest message was dropped.");
      total -= sizeOf(names[0]);
      remove(names.shift());
    }
    if (names.length >= settings.batch.size && !failures) flush();
    else timer ??= setTimeout(flush, settings.batch.wait);
  };

  // sending

  const next = (from) => {
    let size = 0;
    return queued()
      .filter((name) => !sending.has(name) && (!from || from.has(name)))
      .slice(0, settings.batch.size)
      .filter((name) => (size += sizeOf(name) + 1) <= REQUEST_BYTES);
  };

  // Until when the server asked to be left alone: kept, for the other tabs and the next page too.
  const isAskedToWait = () => {
    const left = get("until") - Date.now();
    return left > 0 && left <= 3_600_000 ? left : 0;
  };

  const later = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(flush, ms);
  };

  const laterAfterFailure = () => {
    const ours = Math.min(LONGEST_WAIT, 1_000 * 2 ** failures++) * (0.5 + Math.random() / 2);
    later(Math.max(navigator.onLine ? ours : LONGEST_WAIT, isAskedToWait()));
  };

  // Whether to go on with the rest of the queue.
  const send = async (names, leaving) => {
    const messages = names.map(get).filter(Boolean);
    const said = JSON.stringify({ writeKey: settings.key, sentAt: new Date().toISOString() });
    const body = `${said.slice(0, -1)},"batch":[${messages.join()}]}`; // sent as text/plain, which needs no preflight
    const heard = () => names.forEach((name) => sending.delete(name));
    names.forEach((name) => sending.add(name));
    if (leaving && !("keepalive" in Request.prototype)) {
      navigator.sendBeacon(settings.url, body); // its answer cannot be heard, so what it takes stays queued
      setTimeout(heard, ANSWER_WITHIN);
      return false;
    }
    const request = new AbortController();
    const timeout = setTimeout(() => request.abort(), ANSWER_WITHIN);
    requests.add(request);
    try {
      const answer = await fetch(settings.url, { method: "POST", body, keepalive: leaving || !failures, credentials: "omit", signal: request.signal });
      const { status } = answer;
      const told = await answer.text(); // unread it would count against what may outlive the page
      if (consent !== true) return false;
      if (status === 429 || status === 408 || status >= 500) {
        const asked = answer.headers.get("Retry-After");
        const wait = asked ? (isNaN(asked) ? Date.parse(asked) - Date.now() : asked * 1_000) : 0;
        if (wait > 0) set("until", Date.now() + Math.min(wait, 3_600_000));
        laterAfterFailure();
        return false;
      }
      failures = 0;
      if (status === 401 || status === 403) {
        stopped = true;
        warn(`the write key was not accepted (${status}). What is queued is kept for the next page.`);
        return false;
      }
      for (const name of names) {
        remove(name);
        own.delete(name);
      }
      if (!answer.ok) warn(`${names.length} messages were dropped: the server answered ${status}.`, told);
      else if (settings.debug) console.info("Tagline:", told);
      return true;
    } catch {
      if (consent === true) laterAfterFailure();
      return false;
    } finally {
      clearTimeout(timeout);
      requests.delete(request);
      heard();
    }
  };

  const drain = async () => {
    if (isAskedToWait()) return later(isAskedToWait());
    for (let names = next(); consent === true && !stopped && names.length; names = next()) if (!(await send(names))) return;
  };

  // One tab at a time where the browser has locks. Where it has none two tabs may send the same, which counts once.
  const inTurn = (work) =>
    new Promise((resolve) => {
      const turn = async () => {
        resolve(await work());
        await new Promise((done) => setTimeout(done, SEEN_WITHIN));
      };
      if (navigator.locks) navigator.locks.request(settings.name + "send", turn).catch(() => resolve(work()));
      else resolve(work());
    });

  function flush() {
    if (!settings || consent !== true || stopped) return Promise.resolve();
    clearTimeout(timer);
    timer = null;
    draining ??= inTurn(drain).finally(() => (draining = null));
    return draining;
  }

  const leave = () => {
    if (consent !== true || stopped || isAskedToWait()) return;
    const names = next(own);
    if (names.length) send(names, true);
  };

  const refuse = () => {
    consent = false;
    for (const request of requests) request.abort();
    clearTimeout(timer);
    timer = null;
    own.clear();
    forget();
  };

  const agree = () => {
    consent = true;
    const mine = memory.get("anonymous");
    memory.delete("anonymous");
    const known = get("anonymous") ?? mine; // another tab may have been allowed one before
    if (mine) set("anonymous", known);
    for (const [name, value] of [...memory]) set(name, mine ? value.replace(mine, known) : value);
    set("consent", "given");
    flush();
  };

  // the calls

  const calls = {
    load(key, { host, consent: wanted = true, batch, queue, name = "tagline", debug = false } = {}) {
      if (settings) return;
      const from = host ?? (script && new URL(script.src).origin);
      if (!key || !from) return warn("load() needs a write key, and, where this file is bundled, the host.");
      settings = {
        key,
        url: from.replace(/\/+$/, "") + "/v1/b",
        name: name + ".",
        batch: { size: 50, wait: 500, ...batch },
        queue: { events: 1_000, bytes: 1_000_000, ...queue },
        debug,
      };
      try {
        disk = window.localStorage;
      } catch {
        disk = null; // forbidden: everything stays in this page
      }
      consent = wanted === true || wanted === false ? wanted : "ask";
      if (consent === "ask" && disk?.getItem(settings.name + "consent")) consent = true;
      if (consent === true) agree();
      else if (consent === false) refuse();
      addEventListener("online", () => {
        failures = 0;
        flush();
      });
      addEventListener("pagehide", leave);
      document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());
      addEventListener("storage", ({ key: changed, newValue }) => {
        if (changed !== settings.name + "consent") return;
        if (newValue === null) refuse();
        else if (consent === "ask") agree();
      });
      for (const [call, given] of early.splice(0)) tagline[call](...given);
    },
    track(event, properties = {}) {
      put("track", { event, properties });
    },
    page(properties = {}) {
      put("page", { properties });
    },
    identify(phone, traits = {}) {
      if (phone && typeof phone === "object") return calls.identify(phone.phone, phone);
      const { userId, ...known } = traits;
      const given = phone ? String(phone) : undefined;
      if (given && consent !== false) {
        const who = fingerprint(given);
        if ((get("who") ?? who) !== who) calls.reset();
        set("who", who);
      }
      put("identify", { userId, traits: { ...known, phone: given } });
    },
    consent(given) {
      if (given !== true) refuse();
      else if (consent !== true) agree();
    },
    reset() {
      remove("anonymous");
      remove("who");
    },
    flush,
  };

  // A mistake in a call is told in the console, and never stops the page.
  for (const [name, call] of Object.entries(calls)) {
    tagline[name] = (...given) => {
      try {
        if (settings || name === "load") return call(...given);
        early.push([name, given]);
      } catch (error) {
        warn(error);
      }
    };
  }
  tagline.version = "1.0.0";
  for (const [name, ...given] of tagline.splice(0)) tagline[name]?.(...given);
  const { key, consent: wanted, host, page } = script?.dataset ?? {};
  if (key) {
    tagline.load(key, { host, consent: { true: true, false: false }[wanted ?? "true"] ?? "ask" });
    if (page !== undefined) tagline.page();
  }
})();
