import assert from "node:assert/strict";
import { test } from "node:test";
import { blendNames, recipeName } from "../../ui/js/mix.js";
import { pairRecipe } from "../../ui/js/pair_blend.js";

test("a recipe of two voices has both shares, and at the ends one voice", () => {
  assert.equal(pairRecipe("a", "b", 30), "a(70)+b(30)");
  assert.equal(pairRecipe("a", "b", 0), "a");
  assert.equal(pairRecipe("a", "b", 100), "b");
});

test("a name as people write it becomes one that recipes can hold", () => {
  assert.equal(recipeName("Küchenstimme"), "Kuechenstimme");
  assert.equal(recipeName("  Für die Küche 2 "), "Fuer_die_Kueche_2");
  assert.equal(recipeName("Élodie & Zoë"), "Elodie_Zoe");
  assert.equal(recipeName("Öl"), "Oel");
  assert.equal(recipeName("2 Stimmen"), "blend_2_Stimmen");
  assert.equal(recipeName("厨房"), "blend");
  assert.equal(recipeName("kept_mix"), "kept_mix");
  assert.equal(recipeName("x".repeat(80)).length, 64);
  assert.equal(recipeName(" "), "");
});

test("what was written is the title of a blend, unless it is its name", () => {
  assert.deepEqual(blendNames(" Küchenstimme "), { name: "Kuechenstimme", title: "Küchenstimme" });
  assert.deepEqual(blendNames("dawn "), { name: "dawn", title: "" });
});
