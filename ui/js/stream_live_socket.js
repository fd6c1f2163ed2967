/**
 * Realtime WebSocket (docs/realtime.md) of the page's own server: opened when something is sent, and again after it was
 * closed. A browser tells a page nothing of why a WebSocket was refused, so that is asked by a request like any other.
 */

import { RequestError, requestJson, urlOf } from "./common.js";

/** @typedef {{ type: string, [field: string]: any }} RealtimeEvent */

/**
 * @typedef {object} Handlers
 * @property {(event: RealtimeEvent) => void} onEvent
 * @property {(audio: Uint8Array) => void} onAudio
 * @property {(error: RequestError | null) => void} onClosed null if the server closed what was idle
 */

const PATH = "v1/audio/speech/stream/ws";
const ASKED = "page/voices/news"; // needs the same rights, and costs little
const ASKED_FOR = 5000; // milliseconds
const NORMAL = 1000;
const SHUTTING_DOWN = 1012;

export class RealtimeSocket {
  /** @type {WebSocket | null} */
  #socket = null;
  /** What waits for the connection. @type {string[]} */
  #queue = [];

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
  }

  /** Open it now, so that the first event needs not wait for it. */
  open() {
    if (this.#socket) return;
    const socket = new WebSocket(socketUrl());
    let wasOpen = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      wasOpen = true;
      for (const message of this.#queue.splice(0)) socket.send(message);
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => this.#onClosed(socket, wasOpen, code);
    this.#socket = socket;
  }

  /** @param {RealtimeEvent} event */
  send(event) {
    const message = JSON.stringify(event);
    this.open();
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(message);
    else this.#queue.push(message);
  }

  /** Close it; nothing is told of that. */
  close() {
    const socket = this.#socket;
    this.#socket = null;
    this.#queue.length = 0;
    socket?.close();
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    if (typeof data === "string") this.handlers.onEvent(JSON.parse(data));
    else this.handlers.onAudio(new Uint8Array(data));
  }

  /**
   * @param {WebSocket} socket
   * @param {boolean} wasOpen
   * @param {number} code
   */
  async #onClosed(socket, wasOpen, code) {
    if (this.#socket !== socket) return;
    this.close();
    if (!wasOpen) this.handlers.onClosed(await whyRefused());
    else if (code === NORMAL) this.handlers.onClosed(null);
    else
      this.handlers.onClosed(
        new RequestError("", 0, { code: code === SHUTTING_DOWN ? "shutting_down" : "connection_lost" }),
      );
  }
}

function socketUrl() {
  const url = urlOf(PATH);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** Why the server, or a proxy before it, opened no WebSocket. */
async function whyRefused() {
  try {
    await requestJson(ASKED, { timeout: ASKED_FOR });
  } catch (error) {
    if (error instanceof RequestError) return error;
    return new RequestError("", 0); // no answer in time
  }
  return new RequestError("", 0, { code: "no_connection" });
}
