import manifest from '../../package.json' with { type: 'json' };

export const AGENT_VERSION: string = manifest.version;

/** The sudo plugin that belongs to this program. */
export interface PluginIdentity {
  /** Of which sources it is; it says so itself. */
  build: string;
  /** SHA-256 of its file, hexadecimal. */
  sha256: string;
}

/** Filled in when the executable is built. */
declare const IDENTREE_PLUGIN: PluginIdentity | undefined;

/** Null when this runs from source: then no plugin belongs to it. */
export const OWN_PLUGIN: PluginIdentity | null = typeof IDENTREE_PLUGIN === 'object' ? IDENTREE_PLUGIN : null;
