// An order, the event that tells of it and a command that follows from it, in one transaction of database/sql.
//
// usage: DATABASE_URL=postgresql://... go run . ORDER_ID CUSTOMER
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"os"

	_ "github.com/lib/pq"
)

type order struct {
	ID       string `json:"order_id"`
	Customer string `json:"customer"`
}

// placeOrder returns the ids of the event and of the command.
func placeOrder(ctx context.Context, db *sql.DB, placed order) (event, command string, err error) {
	data, err := json.Marshal(placed)
	if err != nil {
		return "", "", err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", "", err
	}
	// After a commit this does nothing.
	defer tx.Rollback()

	if _, err = tx.ExecContext(ctx, `insert into shop_order (id, customer) values ($1, $2)`, placed.ID, placed.Customer); err != nil {
		return "", "", err
	}
	raise := `select outbox_raise_event('OrderPlaced', 'order', $1, $2::json)`
	if err = tx.QueryRowContext(ctx, raise, placed.ID, string(data)).Scan(&event); err != nil {
		return "", "", err
	}
	process := `select outbox_process_command('PackOrder', 'parcel', $1::json, jsonb_build_object('idempotency_key', $2::text))`
	if err = tx.QueryRowContext(ctx, process, string(data), placed.ID).Scan(&command); err != nil {
		return "", "", err
	}
	return event, command, tx.Commit()
}

func main() {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	event, command, err := placeOrder(context.Background(), db, order{ID: os.Args[1], Customer: os.Args[2]})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event)
	fmt.Println(command)
}
