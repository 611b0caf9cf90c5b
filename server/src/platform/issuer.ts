/**
 * An issuer as it is compared. Discovery takes one with or without the slash at its end, so the configuration, a file and a
 * SCIM token may each have either.
 */
export const bareIssuer = (issuer: string): string => issuer.replace(/\/+$/, '');
