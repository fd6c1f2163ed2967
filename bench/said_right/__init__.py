"""What a recognizer hears of texts with figures, signs and abbreviations, said by this server and another."""
