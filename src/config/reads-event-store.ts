import type { SubscriptionLayers } from './subscription-layers.ts';

/**
 * Whether the file has some subscription read the event store: then what is raised must be there. What handlers state
 * themselves is not known here.
 */
export function readsEventStore({ defaultType, defaultProfile, handlers, profiles }: SubscriptionLayers): boolean {
  const ofProfile = (name: string | null) => (name === null ? undefined : profiles.get(name)?.['subscription_type']);
  const byDefault = defaultType ?? ofProfile(defaultProfile);
  const byHandler = [...handlers.values()].map(
    ({ profile, fields }) => fields['subscription_type'] ?? ofProfile(profile),
  );
  return [byDefault, ...byHandler].includes('event_store');
}
