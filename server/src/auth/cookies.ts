import type { FastifyReply } from 'fastify';

/**
 * The cookies of this server. On https they carry the `__Host-` prefix (RFC 6265bis), so that no sister domain and no
 * plain-http page can plant them. Plain http exists on loopback only, where browsers refuse the prefix.
 */
export interface Cookies {
  /** Value of the session cookie, null when there is none or it has not the shape of one. */
  readSession(header: string | undefined): string | null;
  readLogin(header: string | undefined): string | null;
  setSession(reply: FastifyReply, value: string, maxAgeSeconds: number): void;
  setLogin(reply: FastifyReply, value: string, maxAgeSeconds: number): void;
  clearSession(reply: FastifyReply): void;
}

const VALUE = /^[A-Za-z0-9_-]{43}$/;

/** Every value that a Cookie header gives for a name; a browser sends two when two paths or domains set it. */
function valuesOf(header: string | undefined, name: string): string[] {
  return (header ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
}

function read(header: string | undefined, name: string): string | null {
  const values = valuesOf(header, name);
  // Two cookies of one name: one of them was planted. Taking either would be a guess.
  const [value] = values;
  return values.length === 1 && value !== undefined && VALUE.test(value) ? value : null;
}

export function createCookies(config: { externalUrl: string }): Cookies {
  const secure = new URL(config.externalUrl).protocol === 'https:';
  const prefix = secure ? '__Host-' : '';
  const session = `${prefix}identree_session`;
  const login = `${prefix}identree_login`;

  function set(reply: FastifyReply, name: string, value: string, maxAgeSeconds: number): void {
    // Lax, not Strict: the way back from the identity provider is a cross-site navigation.
    const attributes = `Path=/; Max-Age=${Math.max(0, Math.floor(maxAgeSeconds))}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
    reply.header('set-cookie', `${name}=${value}; ${attributes}`);
  }

  return {
    readSession: (header) => read(header, session),
    readLogin: (header) => read(header, login),
    setSession: (reply, value, maxAge) => set(reply, session, value, maxAge),
    setLogin: (reply, value, maxAge) => set(reply, login, value, maxAge),
    clearSession: (reply) => set(reply, session, '', 0),
  };
}
