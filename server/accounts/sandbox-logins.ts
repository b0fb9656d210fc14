/**
 * The logins of a sandbox, written on its first page and in its README. They exist in sandbox mode only: main.ts calls this in no
 * other, and a production start refuses a database that was ever a sandbox's (migrate.ts).
 */
import type { Accounts, Role } from './accounts.ts'

export const demoLogin = { username: 'demo', password: 'demo-password' }
const DEMO_KEY = 'msk_sandbox_demo'

const logins: { username: string; password: string; role: Role }[] = [
  { ...demoLogin, role: 'customer' },
  { username: 'staff', password: 'staff-password', role: 'admin' },
  { username: 'approver', password: 'approver-password', role: 'approver' },
]

/** At each start; what is there stays. */
export async function seedSandboxLogins(accounts: Accounts): Promise<void> {
  for (const login of logins) {
    const accountId = await accounts.createLogin(login)
    if (login.username === demoLogin.username) await accounts.keys.give(accountId, DEMO_KEY)
  }
}
