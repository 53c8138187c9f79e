import type { Sql } from "./connect.ts";

/** A message that could not be read, or names runs the ledger does not have. */
export interface RejectedMessage {
  messageId: string;
  reason: string;
  body: string;
}

const bodyCharactersMax = 4_000;

/** Keeps what could not be read, so that it can be looked at after the message is deleted (rule X8). NUL, which Postgres text cannot hold, becomes U+FFFD. */
export async function rejectMessages(sql: Sql, messages: readonly RejectedMessage[]): Promise<void> {
  await sql`
    insert into downbeat.rejected_messages (message_id, reason, body)
    select * from unnest(${messages.map((message) => message.messageId)}::text[], ${messages.map((message) => clean(message.reason))}::text[],
      ${messages.map((message) => clean(message.body))}::text[])`;
}

function clean(text: string): string {
  return text.replaceAll("\0", "\uFFFD").slice(0, bodyCharactersMax);
}
