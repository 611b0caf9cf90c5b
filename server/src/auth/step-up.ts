/** Sign-in path that asks the identity provider to make sure who the person is, and comes back to `returnTo`. */
export function stepUpPath(returnTo: string): string {
  return `/sessions/login?step_up=1&return_to=${encodeURIComponent(returnTo)}`;
}
