/** Formats of texts, by name. None of the patterns can take longer than its text is long. */
export const formats: { readonly [name: string]: RegExp | ((text: string) => boolean) | true } = {
  'date-time': (text) => {
    const [, day = '', time = ''] = /^(\d{4}-\d\d-\d\d)[Tt ](.+)$/.exec(text) ?? [];
    return isDay(day) && isTime(time) && /(?:[Zz]|[+-]\d\d:?\d\d)$/.test(time);
  },
  date: (text) => isDay(text),
  time: (text) => isTime(text),
  duration: /^P(?=.)(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?)$/,
  email: /^[^\s@"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*$/,
  hostname: (text) =>
    text.length <= 253 && text.split('.').every((each) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(each)),
  ipv4: /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/,
  ipv6: (text) => /^[0-9A-Fa-f:.]{2,45}$/.test(text) && URL.canParse(`http://[${text}]/`),
  'json-pointer': /^(?:\/(?:[^~/]|~[01])*)*$/,
  regex: (text) => {
    try {
      new RegExp(text, 'u');
      return true;
    } catch {
      // What the question is: there is no other way to ask it.
      return false;
    }
  },
  uri: (text) => /^[A-Za-z][A-Za-z0-9+.-]*:[^\s"<>\\^`{|}]*$/.test(text) && URL.canParse(text),
  'uri-reference': (text) => /^[^\s"<>\\^`{|}]*$/.test(text) && URL.canParse(text, 'http://localhost'),
  url: (text) => /^https?:\/\/[^\s]+$/.test(text) && URL.canParse(text),
  uuid: /^(?:urn:uuid:)?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/,
  // Of OpenAPI: what they say is said by the type already.
  ...Object.fromEntries(
    ['int32', 'int64', 'float', 'double', 'byte', 'binary', 'password'].map((name) => [name, true]),
  ),
};

function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

function isTime(text: string): boolean {
  const [, hours, minutes, seconds] =
    /^(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?$/.exec(text) ?? [];
  return Number(hours) <= 23 && Number(minutes) <= 59 && Number(seconds) <= 60;
}
