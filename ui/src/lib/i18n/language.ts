// Language tags that the system hands over, made safe for Intl.

/** The tag itself when Intl accepts it, else English. "C" and "POSIX" are no languages. */
export function usableLanguage(tag: string | undefined): string {
  if (!tag || /^(c|posix)\b/i.test(tag)) return 'en-US'
  try {
    return new Intl.Locale(tag).toString() && tag
  } catch {
    return 'en-US'
  }
}
