// Keeps the page up to date: by WebSocket; by polling where that does not work; and after any
// interruption by fetching everything anew. It tells the page what it hears and shows nothing.

import { detach, getJson, isReport, socketUrl } from "./requests.js";

const TICK_MS = 1000;
const OVER_POLL_MS = 10_000;
/**
 * After so many ticks a socket that does not open, and one that says nothing, is given up. Ticks,
 * and not the clock: a page that was busy or asleep has not listened, and what came meanwhile is
 * heard before the next tick.
 */
const OPENING_TICKS = 4;
const SILENT_TICKS = 5;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 15_000;
const SLOW_EVERY_TICKS = 3;
/** What a socket pushes besides numbers and entries, and where polling finds it. */
const PARTS = { peers: "api/peers", facets: "api/facets", names: "api/names?limit=100" };

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * The listener:
 *   snapshot(metrics)  everything, with history: at first and after each interruption; false where
 *                      it is of another run: nothing is asked of that one any more
 *   metrics(metrics)   once a second
 *   state(frame)       at once when the state changes
 *   items(items)       entries that have just come; the list fetches what it lacks itself
 *   peers(frame), facets(frame), names(frame)
 *   mode(mode)         "live", "polling", "lost", "over" when the server has said goodbye, "other"
 *                      when another run is at its address
 */
export class Connection {
  #listener;
  #mode = null;
  #socket = null;
  #isOpen = false;
  #silentTicks = 0;
  #pollAt = 0;
  #polls = 0;
  #retryMs = RETRY_MS_MIN;
  #stopped = false;
  /** What a new socket has said before it was known which run speaks; null: that is known. */
  #unheard = null;

  constructor(listener) {
    this.#listener = listener;
  }

  start() {
    if (isReport()) {
      this.#showReport();
      return;
    }
    this.#keepSocket();
    this.#keepPolling();
  }

  #setMode(mode) {
    if (mode !== this.#mode && !this.#stopped) this.#listener.mode(this.#mode = mode);
  }

  async #showReport() {
    await this.#fetchAll();
    await this.#fetchParts();
    this.#setMode("report");
  }

  async #fetchAll() {
    this.#showAll(await getJson("api/metrics"));
  }

  #showAll(metrics) {
    if (this.#stopped || this.#listener.snapshot(metrics)) return;
    this.#setMode("other");
    this.#stopped = true;
    this.#socket?.close();
    detach();
  }

  async #fetchParts() {
    const answers = await Promise.all(Object.values(PARTS).map(getJson));
    if (this.#stopped) return;
    for (const [index, name] of Object.keys(PARTS).entries()) this.#listener[name](answers[index]);
  }

  // WebSocket: opened again whenever it ends, later each time

  async #keepSocket() {
    while (!this.#stopped) {
      await this.#useSocket();
      if (this.#mode !== "over" && this.#mode !== "polling") this.#setMode("lost");
      // Jitter, so that many pages do not come back at the same moment.
      await pause(this.#retryMs * (0.75 + Math.random() / 2));
      this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
    }
  }

  /** Resolves when the socket has closed or is given up. */
  #useSocket() {
    const socket = new WebSocket(socketUrl());
    this.#socket = socket;
    this.#silentTicks = 0;
    return new Promise((resolve) => {
      // At once: where nobody answers, a browser waits long for the other side to close too.
      const end = () => {
        clearInterval(watching);
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
        this.#isOpen = false;
        resolve();
      };
      // Some proxies accept a WebSocket and pass nothing on.
      const watching = setInterval(() => {
        this.#silentTicks += 1;
        if (this.#silentTicks >= (this.#isOpen ? SILENT_TICKS : OPENING_TICKS)) end();
      }, TICK_MS);
      socket.onopen = () => {
        this.#isOpen = true;
        this.#silentTicks = 0;
        this.#unheard = [];
        const isThis = () => socket.onmessage !== null;
        this.#fetchAll().then(() => { if (isThis()) this.#hearUnheard(); }, () => { if (isThis()) end(); });
      };
      socket.onmessage = (event) => {
        this.#silentTicks = 0;
        const frame = JSON.parse(event.data);
        if (this.#unheard) this.#unheard.push(frame);
        else this.#hear(frame);
      };
      socket.onclose = end;
    });
  }

  #hearUnheard() {
    const frames = this.#unheard ?? [];
    this.#unheard = null;
    for (const frame of frames) this.#hear(frame);
  }

  #hear(frame) {
    if (this.#stopped) return;
    this.#retryMs = RETRY_MS_MIN;
    if (frame.type === "metrics") this.#setMode("live");
    if (frame.type === "items") this.#listener.items(frame.items);
    else if (frame.type === "state") this.#hearState(frame);
    else this.#listener[frame.type]?.(frame);
  }

  #hearState(frame) {
    this.#listener.state(frame);
    if (!frame.final) return;
    // Another run may come to this address: look now and then.
    this.#retryMs = RETRY_MS_MAX;
    this.#pollAt = performance.now() + OVER_POLL_MS;
    this.#setMode("over");
  }

  // Polling: whenever no socket speaks; also brings the first numbers, before any socket opens

  async #keepPolling() {
    while (!this.#stopped) {
      if (!this.#isOpen && performance.now() >= this.#pollAt) {
        await this.#poll().catch(() => this.#notAnswered());
        this.#pollAt = performance.now() + (this.#mode === "over" ? OVER_POLL_MS : 0);
      }
      await pause(TICK_MS);
    }
  }

  async #poll() {
    const isGoingOn = this.#mode === "polling";
    const metrics = await getJson(isGoingOn ? "api/metrics?history=0" : "api/metrics");
    // A socket that has opened meanwhile may have brought newer ones.
    if (this.#isOpen && !this.#unheard) return;
    if (isGoingOn) this.#listener.metrics(metrics);
    else this.#showAll(metrics);
    if (this.#isOpen) return;
    this.#setMode("polling");
    // Numbers came: what is slower says nothing about the connection.
    if (this.#polls++ % SLOW_EVERY_TICKS === 0) await this.#fetchParts().catch(() => {});
  }

  #notAnswered() {
    if (!this.#isOpen && this.#mode !== "over") this.#setMode("lost");
  }
}
