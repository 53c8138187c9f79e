import packageJson from "../package.json" with { type: "json" };

/** Of this program: all packages are released together. */
export const version: string = packageJson.version;
