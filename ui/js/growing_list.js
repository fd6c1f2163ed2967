/**
 * Growing list: a list whose elements are made as what is seen comes near to them, and the others once the browser has
 * nothing else to do.
 *
 * Hundreds of voices are listed, of which a reader sees a few. A list that is folded, or in a tab that is not open, has
 * no element until it is seen. One that is seen is soon whole: only then does its scroll bar tell the truth, and the End
 * key, the browser's own search, a print and a screen reader that counts find all of it.
 */

const PIECE = 24; // elements made at a time
const NEAR = "800px"; // from what is seen to the end of the list, when more are made at once
const LONGEST_WAIT = 500; // milliseconds until a busy browser makes more

/** @template Item */
export class GrowingList {
  /** @type {readonly Item[]} */
  #items = [];
  /** How many elements there are, where the list is long enough. */
  #count = 0;
  /** Forgets to make more when the browser is idle. */
  #forget = () => {};
  #sight = new IntersectionObserver((entries) => this.#onSight(entries), inside(NEAR));

  /**
   * @param {HTMLElement} element
   * @param {(item: Item) => HTMLElement} elementOf makes an item's element, or returns the one that it made before
   */
  constructor(element, elementOf) {
    this.element = element;
    this.elementOf = elementOf;
  }

  /**
   * List other items, as many as were listed before.
   * @param {readonly Item[]} items
   */
  show(items) {
    this.#items = items;
    this.#fill();
  }

  /** Have no elements until the list is seen. */
  clear() {
    this.#count = 0;
    this.#fill();
  }

  /** Make the first elements now, as the list is about to be seen. */
  begin() {
    this.#extend(PIECE);
  }

  /**
   * Make the elements up to that of an item.
   * @param {Item} item
   */
  reach(item) {
    this.#extend(this.#items.indexOf(item) + 1);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onSight(entries) {
    const seen = entries.filter(({ isIntersecting }) => isIntersecting);
    const more = () => this.#extend(this.#count + PIECE);
    if (seen.some(({ target }) => target === this.#end)) more();
    else if (seen.length) this.#forget = whenIdle(more);
  }

  get #end() {
    return this.element.lastElementChild ?? this.element;
  }

  /** @param {number} count */
  #extend(count) {
    if (count <= this.#count) return;
    this.#count = count;
    this.#fill();
  }

  /** Elements that stay are not touched, so that what is seen keeps its place. */
  #fill() {
    const { element } = this;
    const wanted = this.#items.slice(0, this.#count).map(this.elementOf);
    const stay = new Set(wanted);
    for (const each of [...element.children]) if (!stay.has(/** @type {HTMLElement} */ (each))) each.remove();
    let place = element.firstElementChild;
    for (const each of wanted) {
      if (each === place) place = place.nextElementSibling;
      else element.insertBefore(each, place);
    }
    this.#watch();
  }

  /** Each element that is observed is reported anew. */
  #watch() {
    this.#forget();
    this.#sight.disconnect();
    if (this.#count >= this.#items.length) return;
    this.#sight.observe(this.element);
    this.#sight.observe(this.#end);
  }
}

/**
 * Options of an observer that reports what comes that near to what is seen, of the page and of a list that scrolls.
 * @param {string} distance
 * @returns {IntersectionObserverInit & { scrollMargin: string }}
 */
const inside = (distance) => ({ rootMargin: distance, scrollMargin: distance });

/**
 * Do work when the browser has nothing else to do. Safari does not tell, and gets it a little later.
 * @param {() => void} work
 * @returns {() => void} forgets it
 */
function whenIdle(work) {
  if (!window.requestIdleCallback) {
    const timer = setTimeout(work, LONGEST_WAIT / 10);
    return () => clearTimeout(timer);
  }
  const request = requestIdleCallback(work, { timeout: LONGEST_WAIT });
  return () => cancelIdleCallback(request);
}
