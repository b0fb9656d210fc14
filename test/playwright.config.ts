/**
 * The tests in a browser. `npm test` runs them with everything that they need; by hand, with TEST_DATABASE_URL set and the pages built:
 * `node node_modules/@playwright/test/cli.js test -c test/playwright.config.ts`.
 */
import { join } from 'node:path'
import { defineConfig } from '@playwright/test'

const kept = process.env['MOBILESMS_TEST_DATA']
/** Pictures are no test: they are taken when a folder for them is named. */
const pictures = process.env['PICTURES_FOLDER']

export default defineConfig({
  testDir: './browser',
  testMatch: '*.spec.ts',
  testIgnore: pictures ? [] : 'pictures.spec.ts',
  outputDir: kept ? join(kept, 'browser') : '../test-results',
  reporter: 'list',
  forbidOnly: true,
  retries: 0,
  workers: 2,
  fullyParallel: true,
  // Longer than a machine that is four times as slow needs: whoever waits for nothing fails by these, and nobody else.
  timeout: 240_000,
  expect: { timeout: 30_000 },
  use: {
    screenshot: 'only-on-failure',
    actionTimeout: 30_000,
    navigationTimeout: 30_000,
    locale: 'en-GB',
    viewport: { width: 1440, height: 900 },
    contextOptions: { reducedMotion: 'reduce' },
    launchOptions: {
      // A missing Chromium fails every test with this path in its message.
      executablePath: process.env['CHROMIUM_PATH'] || '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
})
