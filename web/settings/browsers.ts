/** Where a sign-in was made, in words, as far as the browser says: "Firefox on Windows". */
export function browserWords(userAgent: string): string {
  const browser = firstFound(userAgent, browsers)
  const system = firstFound(userAgent, systems)
  if (browser) return system ? `${browser} on ${system}` : browser
  // A program names itself first: "curl/8.5.0".
  return (
    /^([\w.-]{1,40})\//.exec(userAgent)?.[1] ??
    (system ? `A browser on ${system}` : 'A browser that does not say which')
  )
}

// In this order: most claim to be those after them, too.
const browsers: [name: string, says: RegExp][] = [
  ['Edge', /\bEdg(e|A|iOS)?\//],
  ['Opera', /\bOPR\//],
  ['Samsung Internet', /\bSamsungBrowser\//],
  ['Firefox', /\b(Firefox|FxiOS)\//],
  ['Chrome', /\b(Chrome|CriOS|Chromium|HeadlessChrome)\//],
  ['Safari', /\bSafari\//],
]
const systems: [name: string, says: RegExp][] = [
  ['iPhone', /\biPhone\b/],
  ['iPad', /\biPad\b/],
  ['Android', /\bAndroid\b/],
  ['Windows', /\bWindows\b/],
  ['ChromeOS', /\bCrOS\b/],
  ['macOS', /\bMacintosh\b/],
  ['Linux', /\bLinux\b|\bX11\b/],
]

function firstFound(text: string, names: [string, RegExp][]): string | undefined {
  return names.find(([, says]) => says.test(text))?.[0]
}
