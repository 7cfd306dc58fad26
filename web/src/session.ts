/** Signing in and out, and what follows from it: other fields, other rows, other workspaces. */
import { type Account, along, beginSession, endSession, getSession, nobody, type Right } from "./api";
import type { Controller } from "./controller";
import { dropDrafts } from "./edit/drafts";
import type { SignIn } from "./state";

export class Session {
  private readonly act: Controller;
  /** Those who wait for the user to sign in. */
  private waiting: ((signedIn: boolean) => void)[] = [];

  constructor(act: Controller) {
    this.act = act;
    along.csrf = act.state.account.csrf ?? null;
    along.signIn = () => this.needed();
    along.refresh = () => this.refresh();
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.refresh().catch(() => undefined);
    });
  }

  get account(): Account {
    return this.act.state.account;
  }

  may(right: Right): boolean {
    return this.account.rights.includes(right);
  }

  /** Asks the user to sign in, over whatever is open. */
  open(why: SignIn = "asked"): void {
    this.act.set({ signIn: why, menu: false });
  }

  /** Asks the user to sign in because a request needs it; whether they did. */
  private needed(): Promise<boolean> {
    this.open(this.account.name === null ? "asked" : "ended");
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private answer(signedIn: boolean): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve(signedIn);
  }

  /** Puts the dialog away without signing in. */
  cancel(): void {
    this.act.set({ signIn: null });
    this.answer(false);
  }

  /** Signs in; throws the service's refusal. */
  async begin(name: string, password: string): Promise<void> {
    const account = await beginSession(name, password);
    await this.take(account);
    this.act.set({ signIn: null, said: this.act.text.t("signed_in_as", { name: account.name ?? "" }) });
    this.answer(true);
  }

  async end(): Promise<void> {
    const { editing, importing } = this.act.state;
    if (editing || importing !== null) {
      this.act.toast(this.act.text.t("sign_out_editing"));
      return;
    }
    try {
      await endSession();
    } catch (error) {
      this.act.toast(this.act.text.t("sign_out_failed", { reason: error instanceof Error ? error.message : String(error) }));
      return;
    }
    dropDrafts();
    await this.take(nobody);
    this.act.toast(this.act.text.t("signed_out"));
  }

  /** Takes on what another tab has done: a new session, or the end of this one. */
  async refresh(): Promise<void> {
    const account = await getSession();
    if (account.name === null && this.account.name !== null) this.open("ended");
    else await this.take(account);
  }

  private async take(account: Account): Promise<void> {
    along.csrf = account.csrf ?? null;
    const same = account.name === this.account.name && account.role === this.account.role;
    this.act.set({ account });
    if (!same) await this.act.reload();
  }
}
