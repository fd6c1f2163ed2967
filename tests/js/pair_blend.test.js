import assert from "node:assert/strict";
import { test } from "node:test";
import { pairRecipe } from "../../ui/js/pair_blend.js";

test("a recipe of two voices has both shares, and at the ends one voice", () => {
  assert.equal(pairRecipe("a", "b", 30), "a(70)+b(30)");
  assert.equal(pairRecipe("a", "b", 0), "a");
  assert.equal(pairRecipe("a", "b", 100), "b");
});
