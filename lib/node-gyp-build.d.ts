declare module 'node-gyp-build' {
  interface Load {
    /** Loads the addon that fits this platform from `directory`/build or `directory`/prebuilds. */
    (directory: string): unknown;
    /** Where that addon is. */
    path(directory: string): string;
  }
  const load: Load;
  export = load;
}
