/** An array of texts as PostgreSQL writes it, so that no client need know the type. */
export const textArray = (texts: readonly (string | null)[]): string => `{${texts.map(element).join(',')}}`;

const element = (text: string | null): string => (text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`);
