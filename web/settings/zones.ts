import type { Option } from '../ui/Combobox.tsx'
import { minutes, zoneWords } from '../ui/times.ts'

/** Every time zone that this browser knows, by region and city, with the time that it is there. */
export function zoneOptions(at: number, own: string): Option[] {
  const names = new Set([own, 'UTC', ...Intl.supportedValuesOf('timeZone')])
  return [...names]
    .filter((zone) => isKnown(zone))
    .map((zone) => ({ value: zone, text: zoneWords(zone), words: otherNames[zone] ?? '', note: minutes(at, zone) }))
    .sort((a, b) => (a.text < b.text ? -1 : 1))
}

/** The time zone that this browser runs in. */
export function browserZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone
}

function isKnown(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    return false
  }
}

/** Browsers list some places by an older name only; people look for the one in use. */
const otherNames: Record<string, string> = {
  'Asia/Calcutta': 'Kolkata Mumbai Delhi India',
  'Asia/Katmandu': 'Kathmandu Nepal',
  'Asia/Saigon': 'Ho Chi Minh City Vietnam Hanoi',
  'Asia/Rangoon': 'Yangon Myanmar',
  'Europe/Kiev': 'Kyiv Ukraine',
  'Asia/Shanghai': 'Beijing China',
  'America/Los_Angeles': 'San Francisco Seattle Pacific',
  'America/New_York': 'Boston Washington Eastern',
  UTC: 'GMT Greenwich coordinated universal',
}
