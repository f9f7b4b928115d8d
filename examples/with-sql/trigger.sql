-- An application that knows nothing of messages: a trigger tells of every order that is inserted, in its transaction.
create or replace function tell_of_order() returns trigger language plpgsql as $body$
begin
  perform outbox_raise_event('OrderPlaced', 'order', new.id, json_build_object('order_id', new.id, 'customer', new.customer));
  return new;
end
$body$;

create or replace trigger tell_of_order after insert on shop_order for each row execute function tell_of_order();
