/** Settings in the units of domain.toml, each only where its layer states it. */
export type SubscriptionFields = { readonly [field: string]: string | number | boolean };

/** The layers that a subscription's settings are resolved from, each as its place in the file states it. */
export interface SubscriptionLayers {
  readonly defaultType: 'stream' | 'event_store' | null;
  readonly defaultProfile: string | null;
  /** Choices stated in `[server]` itself. */
  readonly server: SubscriptionFields;
  readonly stream: SubscriptionFields;
  readonly eventStore: SubscriptionFields;
  readonly broker: SubscriptionFields;
  /** `[server.subscriptions.<Handler>]`. */
  readonly handlers: ReadonlyMap<string, { readonly profile: string | null; readonly fields: SubscriptionFields }>;
  /** `[server.profiles.<n>]`, inheritance resolved, and the built-in ones. */
  readonly profiles: ReadonlyMap<string, SubscriptionFields>;
}
