"""What tests share: servers, databases and browsers. No rule of the product is written here."""
