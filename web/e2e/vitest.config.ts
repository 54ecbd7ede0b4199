import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2, // each has a browser and a service, which have cores to themselves that way
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
